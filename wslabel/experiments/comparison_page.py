"""A comparison laid out: a row per network, and a dot per seed."""

from wslabel.config.experiments import Comparison
from wslabel.experiments.comparison import LEVEL, SCORES, ComparedNetwork, NetworkComparison
from wslabel.project.project import Project
from wslabel.report.charts.dots import DotChart, Dots
from wslabel.report.presentation import (
    Column,
    Fact,
    Interval,
    Kind,
    Presentation,
    Row,
    Section,
    Table,
    class_title,
)
from wslabel.report.score_names import score_name


def presentation(project: Project, comparison: NetworkComparison) -> Presentation:
    """Lay a comparison out."""
    best = max(comparison.networks, key=lambda network: network.accuracy)
    chart = DotChart(
        title="Accuracy",
        rows=tuple(Dots(own.name, own.accuracies) for own in comparison.networks),
        note="One dot per seed; the mark is their mean.",
        is_wide=True,
    )
    section = Section(
        title="Comparison",
        note=_note(project.comparison),
        tables=(table(comparison),),
        charts=(chart,),
    )
    return Presentation(
        title=f"{class_title(project.classes)}: comparison",
        subtitle=f"Workspace {project.workspace}",
        facts=(Fact(f"accuracy of {best.name}, the best", best.accuracy),),
        sections=(section,),
    )


def _note(settings: Comparison) -> str:
    judged = "the test split"
    if settings.folds is not None:
        judged = f"all images, which {settings.folds} folds hold out in turn"
    return (
        f"Each network from {settings.seeds} fresh starts, judged on {judged}. ± is the standard "
        f"deviation over seeds; points are the mean difference in accuracy over the same images, "
        f"with its {LEVEL:.0%} interval from a paired t-test."
    )


def table(comparison: NetworkComparison) -> Table:
    """Lay networks out in rows, with their spread over seeds."""
    scores = (Column(score_name(name), Kind.SCORE, key=name) for name in SCORES)
    return Table(
        title="Networks",
        columns=(
            *(Column("network"), Column("seeds", Kind.COUNT), Column("images", Kind.COUNT)),
            *scores,
            Column(f"points to {comparison.reference}", Kind.POINTS, key="points"),
            Column("p", Kind.P_VALUE),
        ),
        rows=tuple(map(_row, comparison.networks)),
    )


def _row(network: ComparedNetwork) -> Row:
    points, p_value = None, None
    if network.difference is not None:
        interval, p_value = network.difference.interval, network.difference.p_value
        points = Interval(100 * interval.mean, 100 * interval.low, 100 * interval.high)
    scores = (network.scores[name] for name in SCORES)
    return network.name, network.num_seeds, network.num_images, *scores, points, p_value

"""What a stage did, and the lines that it adds for people."""

from wslabel.engine.step import ItemResult
from wslabel.stages.result import PredictResult, PretrainResult, TrainResult, total_images


def test_most_results_add_no_line() -> None:
    result = TrainResult(made=1, total=2)
    assert (result.stage, result.made, result.total, result.notes) == ("train", 1, 2, ())
    assert PretrainResult(total=1).notes == ()
    assert PredictResult(total=1).notes == ()


def test_a_pretrained_body_is_compared_with_a_random_one() -> None:
    (line,) = PretrainResult(probe={"pretrained": 0.75, "random": 0.5}).notes
    assert line == (
        "linear probe: accuracy on features of the pretrained body 0.7500, of a random body 0.5000"
    )


def test_predictions_of_other_images_say_where_they_are() -> None:
    result = PredictResult(table="s3://bucket/ws/predictions/x", classes=("jungle", "sea"))
    assert result.notes == (
        "classes in the order of their ids: jungle, sea",
        "table: s3://bucket/ws/predictions/x",
    )


def test_images_of_items_add_up() -> None:
    assert total_images([ItemResult(item=0, num_images=3), ItemResult(item=1, num_images=4)]) == 7
    assert total_images([]) == 0

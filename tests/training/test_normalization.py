"""Batch normalization over all workers: ours on CPUs, the libraries' own on GPUs."""

import timm
import torch

from wslabel.networks.modules import Cnn
from wslabel.training.normalization import attend, freeze, synced
from wslabel.training.worker_context import WorkerContext

GPU = WorkerContext(world_size=2, device=torch.device("cuda"))
"""A worker of a group on GPUs; its networks are exchanged here and run nowhere."""


def test_one_worker_needs_nothing_synchronized() -> None:
    network = Cnn(2, (4, 8))
    before = [type(module) for module in network.modules()]
    assert synced(network, WorkerContext()) is network
    assert [type(module) for module in network.modules()] == before
    assert "forward" not in vars(network[1])


def test_on_cpus_each_normalization_gets_a_forward_pass_of_ours() -> None:
    network = Cnn(2, (4, 8))
    assert synced(network, WorkerContext(world_size=2)) is network
    assert [name for name, m in network.named_modules() if "forward" in vars(m)] == ["1", "5"]


def test_on_gpus_normalizations_are_the_libraries_own() -> None:
    network = Cnn(2, (4, 8))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    exchanged = synced(network, GPU)
    norms = [m for m in exchanged.modules() if isinstance(m, torch.nn.SyncBatchNorm)]
    assert len(norms) == 2
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in exchanged.modules())
    after = exchanged.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_timms_normalizations_keep_their_activation_on_gpus() -> None:
    network = timm.create_model("test_efficientnet", num_classes=2)
    acts = [type(m.act) for m in network.modules() if isinstance(m, timm.layers.BatchNormAct2d)]
    exchanged = synced(network, GPU)
    norms = [m for m in exchanged.modules() if isinstance(m, torch.nn.SyncBatchNorm)]
    assert [type(norm.act) for norm in norms] == acts
    assert torch.nn.SiLU in acts
    # Without a group of processes a synchronized normalization refuses to train, but it predicts.
    expected = timm.create_model("test_efficientnet", num_classes=2)
    expected.load_state_dict(exchanged.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(exchanged.eval()(images), expected.eval()(images), atol=1e-6)


def test_frozen_normalization_keeps_its_statistics_until_train_is_called() -> None:
    network = Cnn(2, (4, 8)).train()
    freeze(network)
    before = network[1].running_mean.clone()
    network(torch.randn(4, 3, 8, 8))
    assert torch.equal(network[1].running_mean, before)
    assert network[11].training
    network.train()(torch.randn(4, 3, 8, 8))
    assert not torch.equal(network[1].running_mean, before)


def test_whether_a_worker_counts_is_said_to_each_normalization() -> None:
    network = Cnn(2, (4, 8))
    attend(network, is_present=False)
    assert [network[1].is_present, network[5].is_present] == [False, False]

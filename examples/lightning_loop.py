"""The classifier of own_loop.py in Lightning's trainer, and a callback by which it comes back as a bundle.

pip install "falcon-edge[lightning]"
python examples/lightning_loop.py DATA OUTPUT [--epochs 4] [--tune 3] [--rank 1]
"""

from pathlib import Path

import lightning
import torch
from own_loop import loader, network
from shared import asked
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import falcon_edge as fe


class Kept(lightning.Callback):
    """What the trainer tuned becomes a bundle, which knows the network that it was made from."""

    def __init__(self, net: fe.Network, output: Path):
        self.net, self.output = net, output

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Batch normalisation is estimated anew, on the device that the module is on."""
        fe.reestimate_batchnorm(self.net.module, trainer.train_dataloader)
        fe.save(fe.tuned(self.net, options={"epochs": trainer.current_epoch}), self.output)


class Classifier(lightning.LightningModule):
    """A module that is trained by labels, and by a teacher where there is one."""

    def __init__(self, module: nn.Module, rate: float, teacher: nn.Module | None = None):
        super().__init__()
        self.module, self.rate, self.teacher = module.train(), rate, teacher  # the trainer leaves modes as they are
        if teacher is not None:
            teacher.requires_grad_(False)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss."""
        x, y = batch
        answers = self.module(x)
        loss = cross_entropy(answers, y)
        return loss if self.teacher is None else loss + fe.distillation(answers, self.teacher.eval()(x))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The share of right answers."""
        x, y = batch
        self.log("top1", (self.module(x).argmax(1) == y).float().mean(), on_epoch=True)

    def configure_optimizers(self) -> dict[str, object]:
        """SGD with momentum, one cycle."""
        weights = [weight for weight in self.module.parameters() if weight.requires_grad]
        optimiser = torch.optim.SGD(weights, self.rate, momentum=0.9, weight_decay=1e-4)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    """The command line."""
    options = asked(__doc__, epochs=4, tune=3, rank=1)
    lightning.seed_everything(0)
    data = fe.open_dataset(options.data)
    batches, test = loader(data.require("train"), shuffle=True), loader(data.require("test"))
    net = fe.from_module(network(data.channels, len(data.class_names)), next(iter(test))[0], labels=data.class_names)
    quiet = {"accelerator": "auto", "logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=options.epochs, callbacks=[Kept(net, options.output / "standard")], **quiet)
    trainer.fit(Classifier(net.module, 0.1), batches)
    trainer.test(Classifier(net.module, 0.1), test)
    small = fe.compress(net, fe.from_batches(batches, split="train", limit=2048), rank=options.rank)
    trainer = lightning.Trainer(max_epochs=options.tune, callbacks=[Kept(small, options.output / "small")], **quiet)
    trainer.fit(Classifier(small.module, 0.05, teacher=net.module), batches)
    trainer.test(Classifier(small.module, 0.05), test)


if __name__ == "__main__":
    main()

"""A small convolutional network on scikit-learn's handwritten digits (1,797 images of 8 x 8, 10 classes)."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import agrm_study as ags

DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.images, dtype=torch.float32)[:, None] / 16.0


class Digits(ags.Trainer):
    """Trains with Adam on shuffled batches, and saves the state of network and optimizer."""

    class Options(ags.Options):
        """Number of channels of the first convolution, and the learning rate."""

        channels: int = 16
        lr: float = 2e-3

    @classmethod
    def samples(cls):
        return [ags.Sample(f"{row:04d}", f"digit_{label}") for row, label in enumerate(DIGITS.target)]

    @classmethod
    def fingerprint(cls):
        return str(float(DIGITS.data.sum()))

    @classmethod
    def shared_epochs(cls, options):
        return 10**6, ("channels", "lr")  # no epoch depends on the number of later epochs

    def start(self, trial, saved):
        torch.manual_seed(trial.seed)
        self.trial, wide = trial, 2 * self.options.channels
        convolutions = nn.Conv2d(1, wide // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(wide // 2, wide, 3, 2), nn.ReLU()
        self.network = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(9 * wide, len(trial.classes)))
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.options.lr)
        if saved is not None:
            for name, state in torch.load(saved / "state.pt", weights_only=True).items():
                getattr(self, name).load_state_dict(state)

    def run_epoch(self, epoch):
        rows, labels = torch.tensor([int(i) for i in self.trial.train]), torch.tensor(self.trial.train_labels)
        order, total = torch.Generator().manual_seed(1_000_003 * self.trial.seed + epoch), 0.0
        for batch in torch.randperm(len(rows), generator=order).split(64):
            loss = nn.functional.cross_entropy(self.network(IMAGES[rows[batch]]), labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return {"loss": total / len(rows)}

    def predict(self, ids):
        return self.network(IMAGES[[int(i) for i in ids]]).detach().double().softmax(1).numpy()

    def save(self, folder):
        torch.save({name: getattr(self, name).state_dict() for name in ("network", "optimizer")}, folder / "state.pt")

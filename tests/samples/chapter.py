"""Functions with the structure, names and parameters of the chapters on linear networks, for the tests of the book."""

# ruff: noqa: D103, B905, E741, FBT002
# mypy: ignore-errors
import math
import random

import torch
from torch import nn
from torch.utils import data

W = torch.normal(0, 0.01, size=(784, 10), requires_grad=True)
b = torch.zeros(10, requires_grad=True)


def normal(x, mu, sigma):
    p = 1 / math.sqrt(2 * math.pi * sigma**2)
    return p * torch.exp(-0.5 / sigma**2 * (x - mu) ** 2)


def synthetic_data(w, b, num_examples):
    """Generate y = Xw + b + noise."""
    X = torch.normal(0, 1, (num_examples, len(w)))
    y = torch.matmul(X, w) + b
    y += torch.normal(0, 0.01, y.shape)
    return X, y.reshape((-1, 1))


def data_iter(batch_size, features, labels):
    num_examples = len(features)
    indices = list(range(num_examples))
    random.shuffle(indices)
    for i in range(0, num_examples, batch_size):
        batch_indices = torch.tensor(indices[i : min(i + batch_size, num_examples)])
        yield features[batch_indices], labels[batch_indices]


def load_array(data_arrays, batch_size, is_train=True):
    """Construct an iterator of torch."""
    dataset = data.TensorDataset(*data_arrays)
    return data.DataLoader(dataset, batch_size, shuffle=is_train)


def softmax(X):
    X_exp = torch.exp(X)
    partition = X_exp.sum(1, keepdim=True)
    return X_exp / partition


def net(X):
    return softmax(torch.matmul(X.reshape((-1, W.shape[0])), W) + b)


def cross_entropy(y_hat, y):
    return -torch.log(y_hat[list(range(len(y_hat))), y])


def accuracy(y_hat, y):
    """Compute the number of correct predictions."""
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(axis=1)
    cmp = y_hat.type(y.dtype) == y
    return float(cmp.type(y.dtype).sum())


class Accumulator:
    """Sums of several variables."""

    def __init__(self, n):
        self.data = [0.0] * n

    def add(self, *args):
        """Add a number to each sum."""
        self.data = [a + float(b) for a, b in zip(self.data, args)]

    def __getitem__(self, idx):
        return self.data[idx]


def evaluate_accuracy(net, data_iter):
    if isinstance(net, nn.Module):
        net.eval()
    metric = Accumulator(2)
    with torch.no_grad():
        for X, y in data_iter:
            metric.add(accuracy(net(X), y), y.numel())
    return metric[0] / metric[1]


def linreg(X, w, b):
    return torch.matmul(X, w) + b


def squared_loss(y_hat, y):
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


def sgd(params, lr, batch_size):
    with torch.no_grad():
        for param in params:
            param -= lr * param.grad / batch_size
            param.grad.zero_()


w_linear = torch.normal(0, 0.01, size=(2, 1), requires_grad=True)
b_linear = torch.zeros(1, requires_grad=True)
features, labels = synthetic_data(torch.tensor([2, -3.4]), 4.2, 1000)


def train_from_scratch():
    """Take the first step of the loop of linear regression."""
    for X, y in data_iter(10, features, labels):
        l = squared_loss(linreg(X, w_linear, b_linear), y)
        l.sum().backward()
        sgd([w_linear, b_linear], 0.03, 10)
        break


concise_linear = nn.Sequential(nn.Linear(2, 1))
concise_linear[0].weight.data.normal_(0, 0.01)
concise_linear[0].bias.data.fill_(0)
linear_trainer = torch.optim.SGD(concise_linear.parameters(), lr=0.03)


def train_concise():
    """Take the first step of the concise loop of linear regression."""
    loss = nn.MSELoss()
    for X, y in load_array((features, labels), 10):
        l = loss(concise_linear(X), y)
        linear_trainer.zero_grad()
        l.backward()
        linear_trainer.step()
        break


images, classes = torch.rand(256, 1, 28, 28), torch.arange(256) % 10


def train_softmax():
    """Take one step of the epoch of softmax regression."""
    l = cross_entropy(net(images), classes)
    l.sum().backward()
    sgd([W, b], 0.1, images.shape[0])


def init_weights(m):
    if type(m) is nn.Linear:
        nn.init.normal_(m.weight, std=0.01)


concise_softmax = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
concise_softmax.apply(init_weights)
loss = nn.CrossEntropyLoss(reduction="none")
softmax_trainer = torch.optim.SGD(concise_softmax.parameters(), lr=0.1)


def train_softmax_concise():
    """Take one step of the concise epoch of softmax regression."""
    l = loss(concise_softmax(images), classes)
    softmax_trainer.zero_grad()
    l.mean().backward()
    softmax_trainer.step()


def read_features(batch_size):
    """Pass the data to the iterator of the book."""
    return data_iter(batch_size, features, labels)


def load_features(batch_size, shuffle=True):
    """Pass the data to the concise iterator."""
    return load_array((features, labels), batch_size, is_train=shuffle)

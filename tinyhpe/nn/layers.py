"""Layers: an op with the parameters that it needs. Initial weights are drawn from a numpy Generator, `rng`."""

import numpy as np

from tinyhpe import ops
from tinyhpe.nn import init
from tinyhpe.nn.module import Module, Parameter, evaluating


class Conv2d(Module):
    """k x k convolution without bias of x (N, H, W, C_in); see ops.conv."""

    def __init__(self, c_in, c_out, kernel, stride=1, padding=0, *, rng):
        weight = init.he_normal(rng, (kernel, kernel, c_in, c_out), fan=kernel * kernel * c_out)
        self.weight = Parameter(weight, torch_axes=(3, 2, 0, 1))  # HWIO -> OIHW
        self.stride, self.padding = stride, padding

    def forward(self, x):
        return ops.conv2d(x, self.weight, self.stride, self.padding)


class BatchNorm2d(Module):
    """Batch norm over all but the last axis, optionally with residual addition and ReLU; see ops.norm."""

    def __init__(self, channels, relu=False):
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.register_buffer("running_mean", np.zeros(channels, np.float32))
        self.register_buffer("running_var", np.ones(channels, np.float32))
        self.relu, self.eps = relu, 1e-5

    def forward(self, x, residual=None):
        settings = {"residual": residual, "relu": self.relu, "eps": self.eps}
        statistics = self.running_mean, self.running_var
        training = self.training and not evaluating.get()
        return ops.batch_norm(x, self.weight, self.bias, *statistics, training, **settings)


class Linear(Module):
    """x (N, in) @ weight (in, out) + bias."""

    def __init__(self, inputs, outputs, *, rng):
        self.weight = Parameter(init.uniform(rng, (inputs, outputs), inputs), torch_axes=(1, 0))
        self.bias = Parameter(init.uniform(rng, (outputs,), inputs))

    def forward(self, x):
        return ops.linear(x, self.weight, self.bias)


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x):
        return ops.relu(x)


class MaxPool2d(Module):
    """The largest value in each window."""

    def __init__(self, kernel, stride, padding=0):
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, x):
        return ops.max_pool2d(x, self.kernel, self.stride, self.padding)

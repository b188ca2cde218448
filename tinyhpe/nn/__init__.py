"""Modules, layers, networks, and initial weights."""

from tinyhpe.nn.layers import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU
from tinyhpe.nn.module import Module, Parameter, Sequential
from tinyhpe.nn.resnet import ResNet

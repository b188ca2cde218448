"""torch's side of the benchmark: the same networks in torch's own words. Imported where torch is installed."""

import functools

import torch
from torch import nn

from tinyhpe.datasets.preprocess import IMAGENET_MEAN, IMAGENET_STD
from tinyhpe.nn.resnet import NETWORKS, STEMS, Bottleneck

# for bench.cuda.milliseconds
CLOCK = functools.partial(torch.cuda.Event, enable_timing=True), torch.cuda.Event.elapsed_time


class Block(nn.Module):
    """A residual block: convolutions of (kernel, stride), batch norms, ReLUs, and a shortcut."""

    def __init__(self, c_in, width, c_out, kernels, stride):
        super().__init__()
        channels = [c_in, *[width] * (len(kernels) - 1), c_out]
        strided = kernels.index(3)  # the first 3x3 convolution has the stride
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, k, stride if i == strided else 1, k // 2, bias=False)
            for i, (a, b, k) in enumerate(zip(channels, channels[1:], kernels, strict=False))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[1:])
        self.downsample = None
        if stride != 1 or c_in != c_out:
            shortcut = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(c_out))

    def forward(self, x):
        residual = self.downsample(x) if self.downsample else x
        last = len(self.convs) - 1
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            x = torch.relu_(x + residual if number == last else x)
        return x


def build(name, outputs, stem):
    """The network of tinyhpe.nn.resnet.build(name, outputs, stem)."""
    block, depths, width = NETWORKS[name]
    kernel, stride = STEMS[stem]
    kernels = (1, 3, 1) if block is Bottleneck else (3, 3)
    layers = [nn.Conv2d(3, width, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(width)]
    layers += [nn.ReLU(inplace=True), *([nn.MaxPool2d(3, 2, 1)] if stem == "7x7" else [])]
    channels = width
    for stage, depth in enumerate(depths):
        for number in range(depth):
            c_out = width * 2**stage * block.expansion
            stride = 2 if stage > 0 and number == 0 else 1
            layers.append(Block(channels, width * 2**stage, c_out, kernels, stride))
            channels = c_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))


def step(workload, images, poses, channels_last, device="cpu", precision="float32"):
    """Return a function that does the work of workloads.our_step once, eagerly, with torch's fused Adam.

    Args:
        images, poses: of workloads.example, as many as in a batch.
        precision: of matrix products and convolutions on a GPU; "tf32", or "float16": torch's mixed precision with
            its loss scaling. (Left alone, torch takes TF32 for convolutions, float32 for other products.)
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    float16 = precision == "float16"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = build(workload.network, poses.shape[1], workload.stem).to(device, memory_format=layout)
    start = (images.shape[1] - workload.size) // 2
    middle = slice(start, start + workload.size)
    crops = torch.tensor(images[:, middle, middle].copy()).permute(0, 3, 1, 2).to(device)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1).to(device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    targets = torch.tensor(poses / 30).to(device)

    def prepared():
        return ((crops - mean) / std).contiguous(memory_format=layout)

    if not workload.training:
        network.eval()

        def predict():
            with torch.inference_mode():
                return network(prepared()).cpu().numpy()

        return predict
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    scaler = torch.amp.GradScaler(device, enabled=float16)

    def train():
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16, enabled=float16):
            loss = nn.functional.mse_loss(network(prepared()), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return train

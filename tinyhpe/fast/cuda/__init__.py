"""The ops on an NVIDIA GPU: kernels of our own, matrix products by cuBLAS. They come before all other ways.

On CuPy arrays of float32; all else is done by the plain ops. CuPy itself is not imported here, see backend.py.
"""

from tinyhpe.fast.cuda.adam import CudaAdam
from tinyhpe.fast.cuda.conv import CudaConv2d
from tinyhpe.fast.cuda.linalg import CudaMatMul
from tinyhpe.fast.cuda.norm import CudaBatchNorm
from tinyhpe.fast.cuda.pairs import CudaPairwiseOrder
from tinyhpe.fast.cuda.pool import CudaMaxPool2d
from tinyhpe.ops.conv import Conv2d
from tinyhpe.ops.linalg import MatMul
from tinyhpe.ops.norm import BatchNorm
from tinyhpe.ops.pairs import PairwiseOrder
from tinyhpe.ops.pool import MaxPool2d
from tinyhpe.optim import Adam

Adam.ways = (CudaAdam, *Adam.ways)
BatchNorm.ways = (CudaBatchNorm, *BatchNorm.ways)
Conv2d.ways = (CudaConv2d, *Conv2d.ways)
MatMul.ways = (CudaMatMul, *MatMul.ways)
MaxPool2d.ways = (CudaMaxPool2d, *MaxPool2d.ways)
PairwiseOrder.ways = (CudaPairwiseOrder, *PairwiseOrder.ways)

"""numpy with OpenBLAS threads: products, decompositions, FFT, files."""

import io

import numpy as np

rng = np.random.default_rng(42)
a = rng.standard_normal((600, 600))
b = np.linalg.inv(a)
print(np.allclose(a @ b, np.eye(600), atol=1e-6))
u, s, vt = np.linalg.svd(a[:200, :200])
print(np.allclose(u * s @ vt, a[:200, :200]), round(float(s[0]), 6))
x = rng.standard_normal(1 << 16)
print(np.allclose(np.fft.irfft(np.fft.rfft(x)), x))
print(np.sort(x)[:3].round(9), round(float(x.sum()), 6), int(np.argmax(x)))
f = io.BytesIO()
np.savez_compressed(f, a=a)
f.seek(0)
print(np.array_equal(np.load(f)["a"], a))
m = np.memmap("matrix", dtype="float64", mode="w+", shape=(1000, 100))
m[:] = np.arange(100_000).reshape(1000, 100)
m.flush()
print(np.memmap("matrix", dtype="float64", mode="r", shape=(1000, 100)).sum())
for _ in range(20):
    a = np.tanh(a @ a.T / 600)
print(a.shape, bool(np.isfinite(a).all()))

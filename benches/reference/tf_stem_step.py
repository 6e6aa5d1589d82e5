"""Times one training step of the partial-STEM generator in TensorFlow. usage: tf_stem_step.py SIDE DIVISOR"""
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
side, div = int(sys.argv[1]), int(sys.argv[2])
D = [c // div for c in (64, 128, 256, 512, 768)]
O = 32 // div
V = []
def var(shape, value=None):
    v = tf.Variable(tf.random.normal(shape, stddev=.05) if value is None else tf.fill(shape, value))
    V.append(v)
    return v
def layer(ci, co, k=3, stride=1, up=False, slope=.01, norm=True):
    w = var((k, k, co, ci) if up else (k, k, ci, co))
    g = var((co,), 1.) if norm else None
    b = var((co,), 0.)
    def run(x):
        if up:
            kernel = tf.reshape(g, (1, 1, co, 1)) * w / tf.sqrt(tf.reduce_sum(w * w, (0, 1, 2), keepdims=True))
            s = x.shape
            y = tf.nn.conv2d_transpose(x, kernel, (1, 2 * s[1], 2 * s[2], co), 2, "SAME")
        else:
            kernel = g * w / tf.sqrt(tf.reduce_sum(w * w, (0, 1, 2), keepdims=True)) if norm else w
            y = tf.nn.conv2d(x, kernel, stride, "SAME")
        y = tf.nn.bias_add(y, b)
        return y if slope is None else tf.nn.leaky_relu(y, slope)
    return run
def chain(x, layers):
    for l in layers: x = l(x)
    return x
def block(c): return [layer(c, c) for _ in range(3)]
inner = [layer(2, D[0], 5, slope=.1, norm=False)] + [layer(D[i], D[i+1], stride=2) for i in range(4)]
inner_blocks = [block(D[4]) for _ in range(6)]
ups = [layer(D[4-i], D[3-i], up=True) for i in range(4)]
trainer = [layer(D[0], D[0]), layer(D[0], 1, slope=None)]
stem, down = layer(2, O, 5, slope=.1), layer(O, D[0], stride=2, slope=.1)
outer_blocks = [block(D[0]) for _ in range(3)]
last = [layer(D[0], O, up=True), layer(O, O), layer(O, 1, slope=None)]
m = [tf.Variable(tf.zeros_like(v)) for v in V]; s = [tf.Variable(tf.zeros_like(v)) for v in V]
@tf.function
def step(full, half, t, th):
    with tf.GradientTape() as tape:
        x = chain(half, inner)
        for b in inner_blocks: x = x + chain(x, b)
        f = chain(x, ups)
        y = down(stem(full)) + f
        for b in outer_blocks: y = y + chain(y, b)
        loss = 200 * (tf.reduce_mean((chain(y, last) - t)**2) + tf.reduce_mean((chain(f, trainer) - th)**2))
    g = tape.gradient(loss, V)
    for v, gg, mm, ss in zip(V, g, m, s):
        mm.assign(.9*mm+.1*gg); ss.assign(.999*ss+.001*gg*gg); v.assign_sub(3e-4*mm/(tf.sqrt(ss)+1e-8))
    return loss
r = lambda n, c: tf.random.normal((1, n, n, c))
args = r(side, 2), r(side // 2, 2), r(side, 1), r(side // 2, 1)
step(*args); step(*args); best = 1e9
for _ in range(20 if side <= 256 else 4):
    a = time.time(); step(*args).numpy(); best = min(best, time.time() - a)
print(f"tf stem side {side} divisor {div}: {best*1e3:.1f} ms, {sum(int(np.prod(v.shape)) for v in V)} weights")

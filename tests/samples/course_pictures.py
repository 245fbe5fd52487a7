"""The pictures of the course pages: drawn from the functions of the exercises, which are run here.

After a change of an exercise or of a drawing, draw them with ``python -m samples.course_pictures`` in the folder
``tests``. Each file contains its data, so that a test can compare it with a new run.
"""

import gzip
import json
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.course.exercise import find_exercise
from harness.data.fashion_mnist import SYSTEM
from harness.floats import FORMATS
from harness.reports.figures.learned import png
from harness.reports.style import BROKEN, LINE, PAPER, PENS, house

FOLDER = Path(__file__).parents[2] / "docs" / "course" / "pictures"
WIDTH_IN, HEIGHT_IN = 6.1, 2.6
ORANGE, BLUE, GREEN = (PENS[style].color for style in ("scratch", "concise", "foreign"))
Data = Mapping[str, Any]


def functions(name: str, *, solved: bool) -> dict[str, Any]:
    """Execute the starting file of an exercise, or its solution, and return its functions."""
    exercise = find_exercise(name)
    names: dict[str, Any] = {"__name__": "picture"}
    exec(exercise.solution if solved else exercise.start, names)  # noqa: S102 - our own text
    return names


def steps(low: float, high: float, number: int = 60) -> list[float]:
    """Return equidistant numbers."""
    return [low + (high - low) * at / number for at in range(number + 1)]


def formats() -> Data:
    """Return the inputs at which exp underflows and overflows, for each format."""
    return {name: [FORMATS[name].log_smallest, FORMATS[name].log_max] for name in FORMATS}


def draw_formats(axes: Axes, data: Data) -> None:
    """Draw a line for each format, and the input 50."""
    order = sorted(data, key=lambda name: float(data[name][1] - data[name][0]))
    for at, name in enumerate(order):
        low, high = data[name]
        axes.plot([max(low, -160), min(high, 160)], [at, at], color=BROKEN if high < 50 else GREEN, linewidth=5)
        axes.text(-158, at + 0.22, f"{name}: 0 below {low:.2f}, inf above {high:.2f}")
    axes.axvline(50, color=ORANGE, linestyle="--")
    axes.text(51, -0.75, "exp(50)", color=ORANGE)
    axes.set(xlim=(-160, 160), ylim=(-1, len(order) - 0.2), yticks=[], xlabel="x, where exp(x) is finite and not zero")


def threshold() -> Data:
    """Return the loss with a clamp and the exact loss, and the slope of the first, against the gap of two logits."""
    loss = functions("threshold", solved=False)["cross_entropy"]
    gaps, y = steps(0, 60), torch.tensor([0])
    clamped, slopes = [], []
    for gap in gaps:
        logits = torch.tensor([[0.0, gap]], requires_grad=True)
        value = loss(logits, y)
        value.backward()
        clamped.append(value.item())
        slopes.append(float(logits.grad[0, 0]))  # type: ignore[index]
    return {"gap": gaps, "clamped": clamped, "exact": [math.log1p(math.exp(gap)) for gap in gaps], "slope": slopes}


def draw_threshold(axes: Axes, data: Data) -> None:
    """Draw both losses, and mark the part without a gradient."""
    flat = next(gap for gap, slope in zip(data["gap"], data["slope"], strict=True) if gap > 1 and slope == 0)
    axes.axvspan(flat, 60, color=BROKEN, alpha=0.12, linewidth=0)
    axes.plot(data["gap"], data["exact"], color=BLUE, label="exact loss")
    axes.plot(data["gap"], data["clamped"], color=ORANGE, label="clamp at 1e-12")
    axes.text(flat + 1, 3, "the gradient is 0", color=BROKEN)
    axes.text(flat + 1, 22.5, f"{max(data['clamped']):.2f} at most", color=ORANGE)
    axes.set(xlabel="logit of the wrong class minus logit of the label", ylabel="loss", xlim=(0, 60))
    axes.legend(loc="upper left")


def noise() -> Data:
    """Return the mean loss of a constant prediction for the targets of the exercise, under both kinds of noise."""
    names = functions("noise", solved=True)
    targets = torch.tensor([1.0, 2.0, 3.0, 4.0, 40.0], dtype=torch.float64)
    constants = torch.tensor(steps(0, 20), dtype=torch.float64)
    losses = {
        name: [float(names[f"{name}_nll"](constant, targets).mean()) for constant in constants]
        for name in ("gaussian", "laplace")
    }
    return {"constant": constants.tolist(), **losses}


def draw_noise(axes: Axes, data: Data) -> None:
    """Draw both losses above their lowest value, with their minima."""
    for name, color in (("gaussian", BLUE), ("laplace", ORANGE)):
        least = min(data[name])
        best = data["constant"][data[name].index(least)]
        axes.plot(data["constant"], [value - least for value in data[name]], color=color, label=f"{name} noise")
        axes.plot([best], [0], "o", color=color)
        axes.text(best, 1.2, f"{'mean' if name == 'gaussian' else 'median'} {best:g}", color=color, ha="center")
    axes.set(xlabel="one prediction for the targets 1, 2, 3, 4 and 40", ylabel="mean loss above its minimum")
    axes.set(xlim=(0, 20), ylim=(-1, 15))
    axes.legend(loc="upper center")


def batches() -> Data:
    """Return the rows of each batch, in two epochs with and two without shuffling."""
    names = functions("batches", solved=True)
    torch.manual_seed(0)
    return {
        order: [[y.tolist() for _, y in names["make_loader"](10, shuffle=shuffle)] for _ in range(2)]
        for order, shuffle in (("in order", False), ("shuffled", True))
    }


def draw_batches(axes: Axes, data: Data) -> None:
    """Draw each row as a cell, colored by its place in the data set; a column is a batch."""
    left = 0
    for order, epochs in data.items():
        for number, epoch in enumerate(epochs, 1):
            cells = [[math.nan] * len(epoch) for _ in range(10)]
            for column, batch in enumerate(epoch):
                for line, index in enumerate(batch):
                    cells[line][column] = index
            axes.imshow(cells, extent=(left, left + len(epoch), 0, 10), origin="lower", aspect="auto")
            axes.text(left + 5.5, 10.3, f"{order}, epoch {number}", ha="center")
            left += len(epoch) + 1
    axes.set(xticks=[], yticks=[], xlabel="batches of 10 rows, the last of 3 rows; the color is the index of the row")
    axes.set(xlim=(0, left), ylim=(0, 11.2))
    axes.spines[:].set_visible(False)


def outlier() -> Data:
    """Return points on a line with one outlier, and the lines that both losses fit to them."""
    huber = functions("huber", solved=True)["huber"]
    x = torch.linspace(0, 1, 12, dtype=torch.float64)
    y = 1 + 2 * x
    y[10] += 6
    losses = {"squared": lambda y_hat, y: (y_hat - y) ** 2 / 2, "huber": huber}
    fitted: dict[str, Any] = {name: fit(loss, x, y) for name, loss in losses.items()}
    return {"x": x.tolist(), "y": y.tolist(), **fitted}


def fit(loss: Callable[..., Any], x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Return slope and intercept after 2,000 steps of gradient descent."""
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    for _ in range(2000):
        (gradient,) = torch.autograd.grad(loss(w[0] * x + w[1], y).mean(), w)
        w = (w - 0.3 * gradient).detach().requires_grad_()
    return w.tolist()


def draw_outlier(axes: Axes, data: Data) -> None:
    """Draw the points and both lines."""
    axes.plot(data["x"], data["y"], "o", color=LINE)
    for name, color in (("squared", ORANGE), ("huber", BLUE)):
        slope, intercept = data[name]
        label = f"{name if name == 'squared' else 'Huber'}: slope {slope:.2f}"
        axes.plot([0, 1], [intercept, intercept + slope], color=color, label=label)
    axes.set(xlabel="x; the true slope is 2, and one target is 6 too high", ylabel="y")
    axes.legend(loc="upper left")


def probabilities() -> Data:
    """Return the softmax of (t, 0, 1) against t."""
    softmax = functions("softmax", solved=True)["softmax"]
    ts = steps(-6, 8)
    rows = [softmax(torch.tensor([[t, 0.0, 1.0]]))[0].tolist() for t in ts]
    return {"t": ts, "p": [list(column) for column in zip(*rows, strict=True)]}


def draw_probabilities(axes: Axes, data: Data) -> None:
    """Draw the probabilities of the three classes, stacked to one."""
    labels = ("class 0, logit t", "class 1, logit 0", "class 2, logit 1")
    axes.stackplot(data["t"], *data["p"], colors=(BLUE, LINE, ORANGE), alpha=0.7, labels=labels)
    axes.set(xlim=(-6, 8), ylim=(0, 1), xlabel="t", ylabel="probabilities, stacked")
    axes.legend(loc="lower right")


def logsumexp() -> Data:
    """Return ln(exp(t) + exp(t)) by the definition and with the shift; ``None`` where it is not finite."""
    ts = steps(-150, 150)
    return {"t": ts} | {
        name: [
            value if math.isfinite(value) else None
            for t in ts
            for value in [float(functions_of[solved]["logsumexp"](torch.tensor([t, t])))]
        ]
        for functions_of in [{solved: functions("logsumexp", solved=solved) for solved in (False, True)}]
        for name, solved in (("definition", False), ("shifted", True))
    }


def draw_logsumexp(axes: Axes, data: Data) -> None:
    """Draw both results; the definition has gaps."""
    known = [t for t, value in zip(data["t"], data["definition"], strict=True) if value is not None]
    for low, high, text in ((-150, known[0], "-inf"), (known[-1], 150, "inf")):
        axes.axvspan(low, high, color=BROKEN, alpha=0.12, linewidth=0)
        axes.text((low + high) / 2, -60 if low > 0 else 60, f"definition: {text}", color=BROKEN, ha="center")
    axes.plot(data["t"], data["shifted"], color=BLUE, label="shifted by the maximum", linewidth=1.2)
    axes.plot(known, [value for value in data["definition"] if value is not None], color=ORANGE, linewidth=3.2,
              label="definition", zorder=1)  # fmt: skip
    axes.set(xlim=(-150, 150), xlabel="t", ylabel="ln(exp(t) + exp(t))")
    axes.legend(loc="upper left")


def epochs() -> Data:
    """Return both losses of the exercise."""
    names = functions("epochs", solved=True)
    train, held_out = names["learning_curves"](*names["data"], 2, 200, 0.1)
    return {"training": train.tolist(), "held out": held_out.tolist()}


def draw_epochs(axes: Axes, data: Data) -> None:
    """Draw both losses, and the lowest of the second."""
    for name, color in (("training", BLUE), ("held out", ORANGE)):
        axes.plot(data[name], color=color, label=f"{name} data")
    least = min(data["held out"])
    best = data["held out"].index(least)
    axes.plot([best], [least], "o", color=ORANGE)
    axes.annotate(f"lowest at epoch {best}", (best, least), (best + 4, least - 0.1), color=ORANGE)
    axes.set(xlabel="epoch", ylabel="loss", xlim=(0, 200), ylim=(0, 0.9))
    axes.legend(loc="center right")


PICTURES: Mapping[str, tuple[Callable[[], Data], Callable[[Axes, Data], None]]] = {
    "formats": (formats, draw_formats),
    "threshold": (threshold, draw_threshold),
    "noise": (noise, draw_noise),
    "batches": (batches, draw_batches),
    "outlier": (outlier, draw_outlier),
    "probabilities": (probabilities, draw_probabilities),
    "logsumexp": (logsumexp, draw_logsumexp),
    "epochs": (epochs, draw_epochs),
}
"""For each picture, the function that runs the code and the one that draws its results."""


def short(data: Any) -> Any:
    """Return data with four significant digits in each number."""
    if isinstance(data, Mapping):
        return {name: short(value) for name, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str):
        return [short(value) for value in data]
    return float(f"{data:.4g}") if isinstance(data, float) else data


def data_of(file: Path) -> Any:
    """Return the data that a picture contains."""
    found = re.search(r"<dc:description>(.*?)</dc:description>", file.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def draw(name: str, file: Path) -> None:
    """Run the code of a picture, and draw it."""
    run, paint = PICTURES[name]
    data = run()
    with house(), matplotlib.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=72, facecolor=PAPER)
        canvas: Any = FigureCanvasSVG(figure)
        paint(figure.add_subplot(), data)
        description = json.dumps(short(data), separators=(",", ":"))
        canvas.print_svg(file, metadata={"Date": None, "Creator": None, "Description": description})


def draw_images(file: Path, source: Path = SYSTEM) -> None:
    """Draw the first training image of each class, enlarged, as in the files of the system package."""
    raw = {
        name: gzip.decompress((source / f"train-{name}-ubyte.gz").read_bytes())
        for name in ("images-idx3", "labels-idx1")
    }
    labels = raw["labels-idx1"][8:]
    pixels = torch.frombuffer(bytearray(raw["images-idx3"][16:]), dtype=torch.uint8).reshape(-1, 28, 28)
    first = 255 - torch.cat([pixels[labels.index(label)] for label in range(10)], dim=1)
    large = first.repeat_interleave(2, 0).repeat_interleave(2, 1).contiguous()
    file.write_bytes(png(large.numpy().tobytes(), height=large.shape[0], width=large.shape[1]))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for each in PICTURES:
        draw(each, FOLDER / f"{each}.svg")
    if SYSTEM.is_dir():
        draw_images(FOLDER / "images.png")

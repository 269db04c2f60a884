import io

import pytest
import tensorflow as tf

from kerasbert.training import fit
from kerasbert.training.run.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


METRICS = {"loss": 7.125, "masked_lm_accuracy": 0.25, "next_sentence_accuracy": 0.5, "masked_lm_loss": 6.0}


def test_a_terminal_gets_a_bar_with_metrics_speed_and_time_left():
    stream = Terminal()
    progress = Progress(total=200, initial=50, stream=stream)
    for step in range(51, 201):
        progress.update(step, "short", METRICS, tokens=1000)
    progress.close()
    last = stream.getvalue().split("\r")[-1]
    for expected in ("short", "200/200", "loss 7.125", "masked-LM accuracy 0.250", "NSP accuracy 0.500", "tokens/s"):
        assert expected in last
    assert "masked_lm_loss" not in last


def test_a_log_file_gets_plain_lines_now_and_then_and_at_the_end():
    stream = io.StringIO()
    progress = Progress(total=100, stream=stream, seconds_between_lines=3600)
    for step in range(1, 101):
        progress.update(step, "short", METRICS, tokens=0)
    progress.say("Validation at step 100: loss 1")
    progress.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("short: step 100/100, loss 7.125, masked-LM accuracy 0.250, NSP accuracy 0.500, 00:00")
    assert "\r" not in stream.getvalue()


def test_every_line_is_written_when_it_is_due():
    stream = io.StringIO()
    progress = Progress(total=3, stream=stream, seconds_between_lines=0.0)
    for step in (1, 2, 3):
        progress.update(step, "train", {"loss": 1.0, "accuracy": 0.5}, tokens=10)
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"train: step {step}/3" for step in (1, 2, 3)]
    assert all("accuracy 0.500" in line and "tokens/s" in line and line.endswith("left") for line in lines)


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_hidden_progress_writes_nothing(kind):
    stream = kind()
    progress = Progress(total=1, stream=stream, is_shown=False)
    progress.update(1, "train", METRICS, tokens=1)
    progress.say("anything")
    progress.close()
    assert stream.getvalue() == ""


def test_tensorboard_gets_every_metric_by_step(tmp_path, stand_in):
    model = stand_in.new_classifier()
    options = {"log_every": 2, "validate": lambda model: {"loss": 0.5, "f1": 0.25}, "show_progress": False}
    history = fit(model, stand_in.batches_from, 4, run_dir=tmp_path, **options)
    for split in ("train", "validation"):
        written = {}
        for file in (tmp_path / "tensorboard" / split).iterdir():
            for record in tf.data.TFRecordDataset(str(file)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    written[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
        expected = {
            (row["step"], name): value
            for row in history.rows
            if row["split"] == split
            for name, value in row.items()
            if name not in ("phase", "step", "split")
        }
        assert written == pytest.approx(expected)
        assert written

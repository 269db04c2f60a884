import tensorflow as tf

from kerasbert.preprocessing.traced_once import TracedOnce


def test_a_function_is_traced_once_eagerly_in_graphs_and_in_a_saved_model(tmp_path):
    traces = []

    def shout(texts):
        traces.append(texts)
        return tf.strings.join([texts, "!"])

    shouted = TracedOnce(shout, tf.TensorSpec([None], tf.string))
    assert not traces, "nothing is traced before the first call"
    root = tf.Module()
    for name in ("once", "twice"):
        calls = 1 if name == "once" else 2

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def signature(texts, calls=calls):
            for _ in range(calls):
                texts = shouted(texts)
            return {"texts": texts}

        setattr(root, name, signature)
    tf.saved_model.save(root, str(tmp_path), signatures={"once": root.once, "twice": root.twice})
    assert shouted(tf.constant(["a"])).numpy().tolist() == [b"a!"]
    assert len(traces) == 1
    loaded = tf.saved_model.load(str(tmp_path))
    assert loaded.signatures["twice"](texts=tf.constant(["a", "b"]))["texts"].numpy().tolist() == [b"a!!", b"b!!"]


def test_structured_arguments_and_results_keep_their_names():
    spec = {"ids": tf.TensorSpec([None], tf.int32)}
    double = TracedOnce(lambda inputs: {"sum": inputs["ids"] * 2}, spec)
    assert double({"ids": tf.constant([1, 2])})["sum"].numpy().tolist() == [2, 4]

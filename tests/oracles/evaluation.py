"""The controls of a radius sweep, counted image by image from the answers themselves."""


def compare(labels, original, low, high):
    """The row of a sweep from the answers to the images and to their two copies."""
    row = dict.fromkeys(("n", "original", "only_low", "only_high", "both", "neither"), 0)
    row |= {"only_low_and_original": 0, "only_high_and_original": 0}
    for label, to_image, to_low, to_high in zip(labels, original, low, high, strict=True):
        cell = {
            (True, False): "only_low",
            (False, True): "only_high",
            (True, True): "both",
            (False, False): "neither",
        }[to_low == label, to_high == label]
        row["n"] += 1
        row["original"] += to_image == label
        row[cell] += 1
        if to_image == label and cell.startswith("only"):
            row[f"{cell}_and_original"] += 1
    # The most frequent answer to the HFC copies; of two as frequent the smaller.
    top = max(sorted(set(high)), key=list(high).count)
    row["high_constant"] = sum(label == top for label in labels)
    row["high_top_share"] = sum(answer == top for answer in high) / len(high)
    right = sum(answer == label for answer, label in zip(high, labels, strict=True))
    wrong = sum(answer != label for answer, label in zip(low, labels, strict=True))
    row["only_high_independent"] = right * wrong / len(labels)
    return row


def shares(logits, images, copies, labels):
    """Accuracy on images and on each of their copies (arrays by name), one image at a time."""
    row = {}
    for name, shown in {"original": images, **copies}.items():
        right = 0
        for image, label in zip(shown, labels, strict=True):
            scores = list(logits(image))
            right += scores.index(max(scores)) == label
        row[name] = right / len(labels)
    return row

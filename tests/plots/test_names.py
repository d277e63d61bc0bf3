"""Names on axes."""

from matplotlib.figure import Figure

from triptych.plots.names import as_text, ends, shortened


def test_long_names_keep_their_beginning_or_both_ends():
    assert shortened("short") == ends("short") == "short"
    assert shortened("a" * 30, 10) == "a" * 9 + "…"
    long = "multiplex.counts." + "x" * 30 + ".subset-random"
    assert ends(long, 20) == "multiplex." + "…" + "et-random"
    assert len(ends(long, 20)) == 20


def test_a_dollar_sign_is_a_dollar_sign():
    text = Figure().text(0, 0, "$x$")
    as_text([text])
    assert not text.get_parse_math()

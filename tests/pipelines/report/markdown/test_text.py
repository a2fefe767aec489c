from pipelines.report.markdown.text import code, plain, table


def test_table_has_as_many_cells_in_each_row() -> None:
    text = table(("reason", "notes"), [("a|b", "1"), ("c", "2")], num_left=1)
    assert text == "| reason | notes |\n| --- | ---: |\n| a\\|b | 1 |\n| c | 2 |"


def test_plain_leaves_nothing_that_a_page_takes_for_markup() -> None:
    assert plain("<b>a &\n b</b>") == "&lt;b>a &amp;\\\\n b&lt;/b>"
    assert plain("![a](http://b)") == "!&#91;a](http://b)"


def test_code_is_a_line_whatever_it_holds() -> None:
    assert code("a [b]\n```\x1bc") == r"    a [b]\n```\x1bc"

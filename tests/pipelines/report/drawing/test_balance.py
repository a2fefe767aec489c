import re

from pipelines.report.drawing.balance import draw_balance, largest_share


def test_draw_balance_has_a_bar_a_family_by_its_share() -> None:
    families = {"bass": 30, "<i>organ</i>": 10}
    svg = draw_balance(families, limit=0.75, title="train")
    longer, shorter = map(float, re.findall(r'width="([0-9.]+)"', svg))
    assert abs(longer / shorter - 3) < 0.01
    assert "30, 75.0 %" in svg
    assert "<i>" not in svg


def test_largest_share_is_of_any_data_set() -> None:
    assert largest_share([{"bass": 1, "organ": 1}, {"bass": 3, "organ": 1}]) == 0.75
    assert largest_share([{}]) == 1

from tests.pacing.measure import Setting, measure, open_stack


def test_a_bulk_insert_reaches_the_function_whole_and_never_faster_than_allowed() -> None:
    with open_stack() as stack:
        measured = measure(stack, Setting(max_in_flight=40, function_seconds=0.2), rows=200)
    assert measured.completed == 200
    assert 20 < measured.most_at_work <= 40


def test_nudges_that_time_out_while_the_function_works_are_not_lost() -> None:
    setting = Setting(max_in_flight=10, function_seconds=1.5, nudge_timeout_ms=1000)
    with open_stack() as stack:
        measured = measure(stack, setting, rows=20)
    assert measured.completed == 20
    assert measured.most_at_work <= 10

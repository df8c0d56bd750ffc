"""The engine's mark: nobody writes over what it has not seen."""

from bullflow.engine.presence import Mark
from support.queues import Bull


async def test_a_mark_is_written_only_over_what_was_looked_at(bull: Bull) -> None:
    mark = Mark(bull.client, bull.prefix)
    first = await mark.read()

    assert await mark.write("7", first.text)
    shown = await mark.read()
    await bull.client.delete(f"bullflow:{bull.prefix}:mark")  # a wipe between the look and the writing

    assert not await mark.write("8", shown.text)
    assert (first.mark, shown.mark, (await mark.read()).text) == (None, 7, None)


async def test_a_word_in_the_marks_place_is_no_mark_and_the_server_says_which_life_it_is(bull: Bull) -> None:
    mark = Mark(bull.client, bull.prefix)
    await mark.write("comparing-7", None)

    shown = await mark.read()

    assert (shown.text, shown.mark) == ("comparing-7", None)
    assert shown.server == (await bull.client.info("server"))["run_id"]

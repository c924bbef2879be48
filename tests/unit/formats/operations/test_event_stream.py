"""Server-sent events, in any pieces, and streams of LLMs that are malformed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockrec.formats.operations.event_stream import EventStreamParser, StreamEvent, data_of
from mockrec.formats.operations.llm_answer import answer_of

PIECES = st.lists(
    st.sampled_from(["data: a", "data:b", "data", "event: x", "\n", "\r", "\r\n", ": note", "id: 7", "\ufeff", ""]),
    max_size=20,
)


def test_events_have_their_lines_joined_and_their_type() -> None:
    text = "\ufeffevent: x\rdata: a\r\ndata: b\n\n: note\n\ndata: c"

    assert list(data_of(text)) == [StreamEvent("x", "a\nb"), StreamEvent("", "c")]


@given(pieces=PIECES)
def test_any_division_of_a_stream_gives_the_same_events(pieces: list[str]) -> None:
    parser = EventStreamParser()
    found = [event for piece in pieces for event in parser.feed(piece)]

    assert [*found, *parser.end()] == list(data_of("".join(pieces)))


def test_a_stream_that_breaks_off_keeps_what_came() -> None:
    first = 'data: {"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"content":"a"}}]}\n\n'
    answer = answer_of(first + 'data: {"object":"chat.comp', "text/event-stream")

    assert answer is not None
    assert (answer.model, answer.text) == ("m", "a")
    assert "not JSON" in answer.finding


def test_documents_of_another_form_do_no_harm() -> None:
    odd = (
        'data: {"type":"message_start","message":7}\n\n'
        'data: {"type":"content_block_start","content_block":{"type":"tool_use","name":7,"input":[1]}}\n\n'
        'data: {"type":"content_block_delta","delta":{"text":7}}\n\n'
        'data: [1]\n\ndata: {"type":"message_delta","usage":{"output_tokens":true}}\n\n'
    )
    answer = answer_of(odd, "text/event-stream")

    assert answer is not None
    assert (answer.model, answer.text, answer.output_tokens) == ("", "", None)


def test_gemini_and_ollama_are_read_as_streams_and_as_lists() -> None:
    gemini = '[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},' + (
        '{"candidates":[{"content":{"parts":[{"text":"b"},{"functionCall":{"name":"f","args":{"x":1}}}]},'
        '"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2},"modelVersion":"g"}]'
    )
    ollama = (
        '{"model":"l","message":{"content":"a"},"done":false}\n'
        '{"model":"l","message":{"content":"b"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}\n'
    )
    for text, media_type, model in ((gemini, "application/json", "g"), (ollama, "application/x-ndjson", "l")):
        answer = answer_of(text, media_type)
        assert answer is not None
        assert (answer.model, answer.text, answer.input_tokens, answer.output_tokens) == (model, "ab", 3, 2)


def test_many_choices_and_calls_are_bounded() -> None:
    far = '{"object":"chat.completion","choices":[{"message":{"tool_calls":[{"index":999999999,"function":{}}]}}]}'
    answer = answer_of(far, "application/json")

    assert answer is not None
    assert len(answer.tools) == 1

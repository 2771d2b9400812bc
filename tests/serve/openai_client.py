#!/usr/bin/env python3
"""The stock openai client against a running server: openai_client.py BASE_URL.

Exit 0 when every check holds, 1 with the name of the first that does not, 77 without the package.
"""
import sys

try:
    import openai
except ImportError:
    print("the package openai is not installed")
    sys.exit(77)

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="unused", max_retries=0, timeout=60)
MESSAGES = [{"role": "user", "content": "Say hello."}]


def check_models():
    names = [model.id for model in client.models.list()]
    assert names, names
    assert client.models.retrieve(names[0]).id == names[0]
    return names[0]


def check_chat(model):
    reply = client.chat.completions.create(model=model, messages=MESSAGES, n=2, temperature=0.8,
                                           seed=3, max_tokens=8)
    again = client.chat.completions.create(model=model, messages=MESSAGES, n=2, temperature=0.8,
                                           seed=3, max_completion_tokens=8)
    texts = [choice.message.content for choice in reply.choices]
    assert len(texts) == 2 and texts == [choice.message.content for choice in again.choices]
    assert all(choice.finish_reason in ("stop", "length") for choice in reply.choices)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert 1 <= reply.usage.completion_tokens <= 16


def check_stream(model):
    whole = client.chat.completions.create(model=model, messages=MESSAGES, temperature=0, seed=1,
                                           max_tokens=12)
    chunks = list(client.chat.completions.create(
        model=model, messages=MESSAGES, temperature=0, seed=1, max_tokens=12, stream=True,
        stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] == whole.choices[0].finish_reason and not any(reasons[:-1])
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage.total_tokens == whole.usage.total_tokens
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens, "asked before"


def check_logprobs(model):
    reply = client.chat.completions.create(model=model, messages=MESSAGES, temperature=0,
                                           max_tokens=4, logprobs=True)
    content = reply.choices[0].logprobs.content
    assert len(content) == reply.usage.completion_tokens
    assert all(entry.logprob <= 0 for entry in content)


def check_completions(model):
    text = client.completions.create(model=model, prompt=["a b", "c d"], max_tokens=3,
                                     temperature=0, logprobs=1)
    assert [choice.index for choice in text.choices] == [0, 1]
    assert len(text.choices[0].logprobs.token_logprobs) <= 3
    ids = client.completions.create(model=model, prompt=[5, 6, 7], max_tokens=3, temperature=0,
                                    extra_body={"return_token_ids": True, "ignore_eos": True})
    assert len(ids.choices[0].token_ids) == 3
    assert ids.choices[0].prompt_token_ids == [5, 6, 7]


def check_stop(model):
    reply = client.completions.create(model=model, prompt="a", max_tokens=40, temperature=0)
    text = reply.choices[0].text
    assert len(text) > 3
    stop = text[1:3]
    cut = client.completions.create(model=model, prompt="a", max_tokens=40, temperature=0,
                                    stop=[stop])
    assert cut.choices[0].text == text[:text.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


def raises(kind, **arguments):
    try:
        client.chat.completions.create(**{"messages": MESSAGES, **arguments})
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected for {arguments}")


def check_errors(model):
    assert raises(openai.NotFoundError, model="gpt-none").code == "model_not_found"
    assert raises(openai.BadRequestError, model=model, temperature=9).param == "temperature"
    error = raises(openai.BadRequestError, model=model, max_tokens=100000)
    assert error.code == "context_length_exceeded" and "100000" in error.message, error.message


def main():
    model = check_models()
    for check in (check_chat, check_stream, check_logprobs, check_completions, check_stop,
                  check_errors):
        try:
            check(model)
        except Exception as error:  # the check's name belongs into the message
            print(f"{check.__name__}: {type(error).__name__}: {error}")
            return 1
    print("openai", openai.__version__, "works")
    return 0


if __name__ == "__main__":
    sys.exit(main())

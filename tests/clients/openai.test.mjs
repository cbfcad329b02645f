// SPDX-License-Identifier: Apache-2.0
//
// OpenAI's JavaScript client against the daemon: chat, streams, tools, structured output, models,
// errors.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { citySchema, collect, greedy, isCity, models, url, weatherTool } from './common.mjs'

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 })
const hello = [{ role: 'user', content: 'Hello!' }]
const brief = { model: models.chat, messages: hello, reasoning_effort: 'none', max_tokens: 12 }

test('a chat completion has everything its type promises', async () => {
  const answer = await openai.chat.completions.create({ ...brief, temperature: 0 })
  assert.equal(answer.object, 'chat.completion')
  assert.match(answer.id, /^chatcmpl-/)
  assert.equal(answer.model, models.chat)
  const [choice] = answer.choices
  assert.equal(choice.index, 0)
  assert.equal(choice.message.role, 'assistant')
  assert.equal(choice.message.refusal, null)
  assert.ok(['stop', 'length'].includes(choice.finish_reason))
  const { usage } = answer
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
  assert.ok(usage.prompt_tokens_details.cached_tokens >= 0)
})

test('a stream gives the same text, and its usage when asked', async () => {
  const whole = await openai.chat.completions.create({ ...brief, temperature: 0 })
  const stream = await openai.chat.completions.create({
    ...brief,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  })
  const parts = await collect(stream)
  assert.equal(parts[0].choices[0].delta.role, 'assistant')
  const text = parts.map((part) => part.choices[0]?.delta?.content ?? '').join('')
  assert.equal(text, whole.choices[0].message.content)
  const last = parts.at(-1)
  assert.deepEqual(last.choices, [])
  assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens)
  const finish = parts.flatMap((part) => part.choices).find((choice) => choice.finish_reason)
  assert.equal(finish.finish_reason, whole.choices[0].finish_reason)
})

test("the client's own stream helper puts an answer together", async () => {
  const runner = openai.chat.completions.stream({ ...brief, temperature: 0 })
  const final = await runner.finalChatCompletion()
  assert.equal(final.choices[0].message.role, 'assistant')
})

test('n answers, each with its own seed, reproducibly', async () => {
  const ask = () =>
    openai.chat.completions.create({ ...brief, n: 3, seed: 11, temperature: 1.5, max_tokens: 16 })
  const [first, second] = await Promise.all([ask(), ask()])
  assert.deepEqual(
    first.choices.map((choice) => choice.index),
    [0, 1, 2],
  )
  const texts = (answer) => answer.choices.map((choice) => choice.message.content)
  assert.deepEqual(texts(first), texts(second))
  assert.ok(new Set(texts(first)).size > 1)
})

test('logprobs and logit_bias', async () => {
  const answer = await openai.chat.completions.create({
    ...brief,
    temperature: 0,
    logprobs: true,
    top_logprobs: 2,
    max_tokens: 4,
  })
  const { content } = answer.choices[0].logprobs
  assert.equal(content.length, answer.usage.completion_tokens)
  assert.equal(content[0].top_logprobs.length, 2)
  assert.ok(Array.isArray(content[0].bytes))
  const biased = await openai.chat.completions.create({
    ...brief,
    temperature: 0,
    max_tokens: 3,
    logit_bias: { 40: 100 },
  })
  const again = await openai.chat.completions.create({
    ...brief,
    temperature: 0,
    max_tokens: 3,
    logit_bias: { 40: 100 },
  })
  assert.equal(biased.choices[0].message.content, again.choices[0].message.content)
})

test('structured output by schema, by zod and as any JSON', async () => {
  const answer = await openai.chat.completions.create({
    ...brief,
    max_tokens: 400,
    temperature: 1,
    seed: 5,
    response_format: { type: 'json_schema', json_schema: { name: 'city', schema: citySchema } },
  })
  assert.equal(answer.choices[0].finish_reason, 'stop')
  assert.ok(isCity(JSON.parse(answer.choices[0].message.content)))

  const Point = z.object({ x: z.enum(['a', 'b']), y: z.boolean() })
  const parsed = await openai.chat.completions.parse({
    ...brief,
    max_tokens: 400,
    response_format: zodResponseFormat(Point, 'point'),
  })
  assert.ok(Point.safeParse(parsed.choices[0].message.parsed).success)
})

test('a required tool is called, with arguments of its schema', async () => {
  const request = { ...brief, max_tokens: 400, tools: [weatherTool], tool_choice: 'required' }
  const answer = await openai.chat.completions.create(request)
  const [choice] = answer.choices
  assert.equal(choice.finish_reason, 'tool_calls')
  const [call] = choice.message.tool_calls
  assert.equal(call.function.name, 'get_weather')
  const args = JSON.parse(call.function.arguments)
  assert.ok(['Paris', 'Rome'].includes(args.city))
  assert.ok(args.days >= 1 && args.days <= 7)

  const parts = await collect(
    await openai.chat.completions.create({ ...request, stream: true, seed: 9 }),
  )
  const deltas = parts.flatMap((part) => part.choices[0]?.delta?.tool_calls ?? [])
  assert.equal(deltas[0].function.name, 'get_weather')
  const streamed = deltas
    .filter((delta) => delta.index === 0)
    .map((delta) => delta.function?.arguments ?? '')
    .join('')
  assert.ok(['Paris', 'Rome'].includes(JSON.parse(streamed).city))

  const next = await openai.chat.completions.create({
    ...brief,
    messages: [
      ...hello,
      choice.message,
      { role: 'tool', tool_call_id: call.id, content: '{"sky":"clear"}' },
    ],
    tools: [weatherTool],
    tool_choice: 'none',
  })
  assert.notEqual(next.choices[0].finish_reason, 'tool_calls')
})

test('completions go on with a text as the engine alone does', async () => {
  const answer = await openai.completions.create({
    model: models.text,
    prompt: greedy.prompt,
    temperature: 0,
    max_tokens: greedy.tokens,
  })
  assert.equal(answer.object, 'text_completion')
  assert.equal(answer.choices[0].text, greedy.text)
  const stream = await openai.completions.create({
    model: models.text,
    prompt: [greedy.prompt, 'A'],
    temperature: 0,
    max_tokens: greedy.tokens,
    stream: true,
  })
  const texts = ['', '']
  for await (const part of stream) {
    for (const choice of part.choices) texts[choice.index] += choice.text
  }
  assert.equal(texts[0], greedy.text)
})

test('models', async () => {
  const listed = await collect(await openai.models.list())
  assert.ok(listed.some((model) => model.id === models.chat && model.object === 'model'))
  assert.equal((await openai.models.retrieve(models.chat)).id, models.chat)
})

test('errors are those of the API', async () => {
  const refused = async (call, type, status) => {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof type, `${error}`)
      assert.equal(error.status, status)
      assert.ok(error.message.length > 10)
      return true
    })
  }
  const create = (changes) => openai.chat.completions.create({ ...brief, ...changes })
  await refused(create({ model: 'no-such-model' }), OpenAI.NotFoundError, 404)
  await refused(create({ temperature: -1 }), OpenAI.BadRequestError, 400)
  await refused(create({ messages: [] }), OpenAI.BadRequestError, 400)
  await refused(create({ frobnicate: 1 }), OpenAI.BadRequestError, 400)
  await assert.rejects(create({ audio: { voice: 'alloy', format: 'wav' } }), { param: 'audio' })
  await refused(openai.models.retrieve('no-such-model'), OpenAI.NotFoundError, 404)
  const long = [{ role: 'user', content: 'long '.repeat(models.chat_context * 2) }]
  await assert.rejects(create({ messages: long }), { code: 'context_length_exceeded', status: 400 })
  await assert.rejects(
    create({
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'x', schema: { type: 'object', dependentRequired: {} } },
      },
    }),
    (error) => error.status === 400 && /dependentRequired/.test(error.message),
  )
})

test('an aborted stream ends, and the next request is served', async () => {
  const stream = await openai.completions.create({
    model: models.text,
    prompt: greedy.prompt,
    max_tokens: 400,
    stream: true,
  })
  for await (const _ of stream) {
    stream.controller.abort()
    break
  }
  assert.ok((await openai.completions.create({ model: models.text, prompt: 'A', max_tokens: 2 })).id)
})

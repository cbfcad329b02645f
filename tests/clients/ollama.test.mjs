// SPDX-License-Identifier: Apache-2.0
//
// Every call of Ollama's JavaScript client, unchanged, against the daemon.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Ollama } from 'ollama'
import { citySchema, collect, greedy, isCity, models, url, weatherTool } from './common.mjs'

const ollama = new Ollama({ host: url })
const steady = { temperature: 0, num_predict: 12 }

async function refusal(promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new assert.AssertionError({ message: 'the call succeeded' })
}

test('generate goes on with a text as the engine alone does', async () => {
  const answer = await ollama.generate({
    model: models.text,
    prompt: greedy.prompt,
    raw: true,
    options: { temperature: 0, num_predict: greedy.tokens },
  })
  assert.equal(answer.response, greedy.text)
  assert.equal(answer.done, true)
  assert.equal(answer.done_reason, 'length')
  assert.equal(answer.eval_count, greedy.tokens)
  for (const field of ['total_duration', 'load_duration', 'prompt_eval_count', 'eval_duration']) {
    assert.ok(answer[field] > 0, field)
  }
})

test('generate streams the same text in pieces', async () => {
  const stream = await ollama.generate({
    model: models.text,
    prompt: greedy.prompt,
    raw: true,
    stream: true,
    options: { temperature: 0, num_predict: greedy.tokens },
  })
  const parts = await collect(stream)
  assert.ok(parts.length > 3)
  assert.equal(parts.map((part) => part.response).join(''), greedy.text)
  assert.deepEqual(
    parts.map((part) => part.done),
    parts.map((_, i) => i === parts.length - 1),
  )
})

test('the same seed draws the same text, alone and beside others', async () => {
  const ask = async (seed) =>
    (
      await ollama.generate({
        model: models.text,
        prompt: greedy.prompt,
        raw: true,
        options: { seed, temperature: 1.2, num_predict: 24 },
      })
    ).response
  const alone = await ask(7)
  const together = await Promise.all([7, 8, 7, 9, 7].map(ask))
  assert.deepEqual([together[0], together[2], together[4]], [alone, alone, alone])
  assert.notEqual(together[1], alone)
})

test('generate goes on where its context ended', async () => {
  const request = { model: models.text, raw: false, options: steady }
  const first = await ollama.generate({ ...request, prompt: 'One' })
  assert.ok(first.context.length > first.eval_count)
  const second = await ollama.generate({ ...request, prompt: 'Two', context: first.context })
  assert.ok(second.prompt_eval_count > first.context.length)
})

test('an empty prompt loads and unloads', async () => {
  const loaded = await ollama.generate({ model: models.text, prompt: '', keep_alive: '10m' })
  assert.equal(loaded.done_reason, 'load')
  const running = (await ollama.ps()).models.find((model) => model.name === models.text)
  assert.ok(new Date(running.expires_at) > new Date(Date.now() + 5 * 60_000))
  assert.ok(running.size > 0)
  assert.ok(running.context_length > 0)
  const unloaded = await ollama.generate({ model: models.text, prompt: '', keep_alive: 0 })
  assert.equal(unloaded.done_reason, 'unload')
  for (let tries = 0; tries < 100; ++tries) {
    if (!(await ollama.ps()).models.some((model) => model.name === models.text)) return
    await new Promise((done) => setTimeout(done, 50))
  }
  assert.fail('the model is still loaded')
})

test('chat answers, whole and as a stream', async () => {
  const request = {
    model: models.chat,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello!' },
    ],
    options: { ...steady, seed: 3 },
    think: false,
  }
  const whole = await ollama.chat(request)
  assert.equal(whole.message.role, 'assistant')
  assert.equal(whole.done, true)
  const parts = await collect(await ollama.chat({ ...request, stream: true }))
  assert.equal(parts.map((part) => part.message.content).join(''), whole.message.content)
  assert.equal(parts.at(-1).done_reason, whole.done_reason)
  assert.equal(parts.at(-1).eval_count, whole.eval_count)
})

test('chat thinks where it can, and says so apart', async () => {
  const answer = await ollama.chat({
    model: models.chat,
    messages: [{ role: 'user', content: 'Why?' }],
    think: true,
    options: { temperature: 0, num_predict: 8 },
  })
  assert.equal(typeof answer.message.thinking, 'string')
  assert.equal(answer.message.content, '')
  const error = await refusal(
    ollama.chat({ model: models.plain, messages: [{ role: 'user', content: 'Why?' }], think: true }),
  )
  assert.equal(error.status_code, 400)
  assert.match(error.message, /does not support thinking/)
})

test('structured output is what its schema says, whatever the model', async () => {
  for (const seed of [1, 2, 3]) {
    const answer = await ollama.chat({
      model: models.chat,
      messages: [{ role: 'user', content: 'Name a city.' }],
      format: citySchema,
      think: false,
      options: { seed, temperature: 1 },
    })
    assert.equal(answer.done_reason, 'stop')
    assert.ok(isCity(JSON.parse(answer.message.content)), answer.message.content)
  }
  const error = await refusal(
    ollama.generate({ model: models.text, prompt: 'x', format: 'yaml' }),
  )
  assert.equal(error.status_code, 400)
  assert.match(error.message, /invalid format/)
})

test('tools go to the model, and models without them refuse', async () => {
  const request = { messages: [{ role: 'user', content: 'Weather?' }], tools: [weatherTool] }
  const answer = await ollama.chat({ ...request, model: models.chat, options: steady })
  assert.equal(answer.done, true)
  const history = await ollama.chat({
    model: models.chat,
    messages: [
      ...request.messages,
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ function: { name: 'get_weather', arguments: { city: 'Rome', days: 2 } } }],
      },
      { role: 'tool', tool_name: 'get_weather', content: 'sunny' },
    ],
    tools: [weatherTool],
    options: steady,
  })
  assert.ok(history.prompt_eval_count > answer.prompt_eval_count)
  const error = await refusal(ollama.chat({ ...request, model: models.plain }))
  assert.equal(error.status_code, 400)
  assert.match(error.message, /does not support tools/)
})

test('logprobs tell the alternatives', async () => {
  const answer = await ollama.generate({
    model: models.text,
    prompt: greedy.prompt,
    raw: true,
    logprobs: true,
    top_logprobs: 3,
    options: { temperature: 0, num_predict: 5 },
  })
  assert.equal(answer.logprobs.length, 5)
  for (const token of answer.logprobs) {
    assert.equal(token.top_logprobs.length, 3)
    assert.ok(token.logprob <= 0)
    assert.equal(token.top_logprobs[0].logprob, token.logprob)
    assert.equal(typeof token.token, 'string')
  }
})

test('an aborted stream ends', async () => {
  const stream = await ollama.generate({
    model: models.text,
    prompt: greedy.prompt,
    raw: true,
    stream: true,
    options: { num_predict: 100_000 },
  })
  const error = await refusal(
    (async () => {
      for await (const _ of stream) stream.abort()
    })(),
  )
  assert.equal(error.name, 'AbortError')
})

test('list, show, copy and delete', async () => {
  const { models: listed } = await ollama.list()
  const found = listed.find((model) => model.name === models.chat)
  assert.ok(found.size > 0)
  assert.match(found.digest, /^[0-9a-f]{64}$/)
  assert.equal(found.details.format, 'gguf')

  const shown = await ollama.show({ model: models.chat })
  assert.equal(shown.model_info['general.architecture'], 'qwen3')
  assert.ok(shown.template.length > 10)
  assert.ok(shown.capabilities.includes('completion'))
  assert.ok(shown.capabilities.includes('tools'))
  assert.match(shown.modelfile, /^# Modelfile/)

  assert.equal((await ollama.copy({ source: models.chat, destination: 'copied' })).status, 'success')
  assert.ok((await ollama.list()).models.some((model) => model.name === 'copied:latest'))
  assert.equal((await ollama.delete({ model: 'copied' })).status, 'success')
  const error = await refusal(ollama.show({ model: 'copied' }))
  assert.equal(error.status_code, 404)
  assert.match(error.message, /not found/)
})

test('create layers settings on a model, and takes uploaded files', async () => {
  const parts = await collect(
    await ollama.create({
      model: 'pirate',
      from: models.chat,
      system: 'You are a pirate.',
      parameters: { temperature: 0, num_predict: 6 },
      stream: true,
    }),
  )
  assert.equal(parts.at(-1).status, 'success')
  const shown = await ollama.show({ model: 'pirate' })
  assert.equal(shown.system, 'You are a pirate.')
  assert.match(shown.parameters, /temperature/)
  const answer = await ollama.chat({
    model: 'pirate',
    messages: [{ role: 'user', content: 'Hi' }],
    think: false,
  })
  assert.ok(answer.eval_count <= 6)
  await ollama.delete({ model: 'pirate' })

  const path = models.file
  const file = await (await import('node:fs/promises')).readFile(path)
  const digest = 'sha256:' + createHash('sha256').update(file).digest('hex')
  const sent = await fetch(`${url}/api/blobs/${digest}`, { method: 'POST', body: file })
  assert.ok([200, 201].includes(sent.status), `${sent.status}`)
  assert.equal((await fetch(`${url}/api/blobs/${digest}`, { method: 'HEAD' })).status, 200)
  const made = await ollama.create({ model: 'uploaded', files: { 'model.gguf': digest } })
  assert.equal(made.status, 'success')
  const text = await ollama.generate({ model: 'uploaded', prompt: 'A', raw: true, options: steady })
  assert.ok(text.eval_count > 0)
  await ollama.delete({ model: 'uploaded' })
})

test('pull and push tell what goes wrong', async () => {
  const error = await refusal(ollama.pull({ model: models.nowhere, insecure: true }))
  assert.ok(error.message.length > 10)
  const push = await refusal(ollama.push({ model: models.nowhere, insecure: true }))
  assert.ok(push.message.length > 10)
})

test('what there is not yet is refused, not ignored', async () => {
  for (const call of [
    () => ollama.embed({ model: models.text, input: 'x' }),
    () => ollama.embeddings({ model: models.text, prompt: 'x' }),
    () => ollama.generate({ model: models.text, prompt: 'x', images: ['aGVsbG8='] }),
  ]) {
    const error = await refusal(call())
    assert.ok(error.status_code >= 400 && error.status_code <= 501, `${error.status_code}`)
    assert.ok(error.message.length > 10)
  }
})

test('version and errors', async () => {
  assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+/)
  const error = await refusal(ollama.generate({ model: 'no-such-model', prompt: 'x' }))
  assert.equal(error.status_code, 404)
  assert.equal(error.message, "model 'no-such-model' not found")
})

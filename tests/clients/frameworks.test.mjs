// SPDX-License-Identifier: Apache-2.0
//
// LangChain and Vercel's AI SDK, as applications use them: each over both ways to the daemon.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { HumanMessage, SystemMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOllama, Ollama } from '@langchain/ollama'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, Output, streamText, tool as aiTool } from 'ai'
import { z } from 'zod'
import { collect, greedy, models, url } from './common.mjs'

const messages = [new SystemMessage('Be brief.'), new HumanMessage('Hello!')]
const City = z.object({ city: z.enum(['Paris', 'Rome']), large: z.boolean() })

test('LangChain over the Ollama dialect', async () => {
  const chat = new ChatOllama({
    baseUrl: url,
    model: models.chat,
    temperature: 0,
    numPredict: 12,
    think: false,
  })
  const whole = await chat.invoke(messages)
  const parts = await collect(await chat.stream(messages))
  assert.equal(parts.map((part) => part.content).join(''), whole.content)
  assert.ok(whole.usage_metadata.input_tokens > 0)

  const strict = new ChatOllama({ baseUrl: url, model: models.chat, think: false })
  const city = await strict
    .withStructuredOutput(City, { method: 'jsonSchema' })
    .invoke('Name a city.')
  assert.ok(City.safeParse(city).success)

  const text = new Ollama({
    baseUrl: url,
    model: models.text,
    temperature: 0,
    numPredict: greedy.tokens,
    raw: true,
  })
  assert.equal(await text.invoke(greedy.prompt), greedy.text)
})

test('LangChain over the OpenAI dialect', async () => {
  const chat = new ChatOpenAI({
    model: models.chat,
    apiKey: 'unused',
    configuration: { baseURL: `${url}/v1` },
    temperature: 0,
    maxTokens: 200,
    maxRetries: 0,
    modelKwargs: { reasoning_effort: 'none' },
  })
  const city = await chat.withStructuredOutput(City, { method: 'jsonSchema' }).invoke('A city?')
  assert.ok(City.safeParse(city).success)

  const weather = tool(async () => 'sunny', {
    name: 'get_weather',
    description: 'The weather in a city',
    schema: z.object({ city: z.enum(['Paris', 'Rome']) }),
  })
  const answer = await chat.bindTools([weather], { tool_choice: 'required' }).invoke(messages)
  assert.equal(answer.tool_calls[0].name, 'get_weather')
  assert.ok(['Paris', 'Rome'].includes(answer.tool_calls[0].args.city))
  const parts = await collect(await chat.stream(messages))
  assert.ok(parts.length > 1)
})

test('the AI SDK', async () => {
  const provider = createOpenAICompatible({
    name: 'ohmygpu',
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })
  const model = provider(models.chat)
  const settings = {
    model,
    temperature: 0,
    maxRetries: 0,
    maxOutputTokens: 300,
    providerOptions: { ohmygpu: { reasoningEffort: 'none' } },
  }
  const whole = await generateText({ ...settings, prompt: 'Hello!', maxOutputTokens: 12 })
  const stream = streamText({ ...settings, prompt: 'Hello!', maxOutputTokens: 12 })
  assert.equal((await collect(stream.textStream)).join(''), whole.text)
  assert.equal((await stream.usage).inputTokens, whole.usage.inputTokens)

  const { output } = await generateText({
    ...settings,
    output: Output.object({ schema: City }),
    prompt: 'Name a city.',
  })
  assert.ok(City.safeParse(output).success)

  const called = await generateText({
    ...settings,
    prompt: 'Weather?',
    tools: {
      get_weather: aiTool({
        description: 'The weather',
        inputSchema: z.object({ city: z.enum(['Paris', 'Rome']) }),
      }),
    },
    toolChoice: 'required',
  })
  assert.equal(called.toolCalls[0].toolName, 'get_weather')
  assert.ok(['Paris', 'Rome'].includes(called.toolCalls[0].input.city))
})

// SPDX-License-Identifier: Apache-2.0
//
// What the clients' tests share. test_clients.py starts the daemon and says in the environment where
// it is, which models it has, and what they answer when asked alone, without a daemon.

export const url = process.env.OMG_URL
export const models = JSON.parse(process.env.OMG_CLIENT_MODELS)
// {prompt, tokens, text}: what models.text goes on with, greedily, by `omg generate --direct --raw`.
export const greedy = JSON.parse(process.env.OMG_GREEDY)

export const weatherTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string', enum: ['Paris', 'Rome'] },
        days: { type: 'integer', minimum: 1, maximum: 7 },
      },
      required: ['city', 'days'],
      additionalProperties: false,
    },
  },
}

// Every value of it is bounded, so that a model that knows nothing comes to an end.
export const citySchema = {
  type: 'object',
  properties: {
    city: { enum: ['Paris', 'Rome', 'Oslo'] },
    large: { type: 'boolean' },
    rank: { type: 'integer', minimum: 0, maximum: 99 },
    note: { type: 'string', maxLength: 8 },
  },
  required: ['city', 'large', 'rank', 'note'],
  additionalProperties: false,
}

export function isCity(value) {
  return (
    ['Paris', 'Rome', 'Oslo'].includes(value.city) &&
    typeof value.large === 'boolean' &&
    Number.isInteger(value.rank) &&
    value.rank >= 0 &&
    value.rank <= 99 &&
    [...value.note].length <= 8 &&
    Object.keys(value).length === 4
  )
}

export async function collect(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return parts
}

// SPDX-License-Identifier: Apache-2.0
//
// llama.cpp as a library (node-llama-cpp, as others built it), given the same file: our template,
// our tokens and our answers must be what it makes of them. GUIDE is the file, GOLDEN the
// transcripts.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { Template } from '@huggingface/jinja'
import { getLlama, LlamaLogLevel, readGgufFileInfo } from 'node-llama-cpp'

const golden = JSON.parse(readFileSync(process.env.GOLDEN, 'utf8'))
const file = process.env.GUIDE
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error })
const model = await llama.loadModel({ modelPath: file })
const context = await model.createContext({ contextSize: 1024, threads: 2 })
const { metadata } = await readGgufFileInfo(file)
const template = new Template(metadata.tokenizer.chat_template)

after(() => llama.dispose())

// Its greedy answer to a text, in which the template's special tokens are tokens.
async function answer(text, most) {
  const sequence = context.getSequence()
  const tokens = []
  // Ends by itself before a token that ends an answer.
  for await (const token of sequence.evaluate(model.tokenize(text, true), { temperature: 0 })) {
    tokens.push(token)
    if (tokens.length === most) break
  }
  sequence.dispose()
  const finish = tokens.length === most ? 'length' : 'stop'
  return { text: model.detokenize(tokens), finish, tokens: tokens.length }
}

function compare(its, ours) {
  assert.equal(its.text, ours.text)
  assert.equal(its.finish, ours.finish)
  assert.equal(its.tokens, ours.tokens)
}

test('the transcripts are of this file', () => {
  const digest = createHash('sha256').update(readFileSync(file)).digest('hex')
  assert.equal(golden.model, `sha256:${digest}`)
})

for (const { turns, system, answers } of golden.conversations) {
  test(`answers: ${turns.join(' / ')}`, async () => {
    const messages = system ? [{ role: 'system', content: system }] : []
    for (const [i, turn] of turns.entries()) {
      messages.push({ role: 'user', content: turn })
      const prompt = template.render({ messages, add_generation_prompt: true })
      compare(await answer(prompt, golden.max_tokens), answers[i])
      messages.push({ role: 'assistant', content: answers[i].text })
    }
  })
}

for (const text of golden.texts) {
  test(`goes on with: ${text.prompt}`, async () => {
    compare(await answer(text.prompt, golden.max_tokens), text)
  })
}

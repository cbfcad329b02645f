// SPDX-License-Identifier: Apache-2.0
//
// How fast llama.cpp's library (as others built it) is on a file, where no llama-bench is at hand:
// tokens a second of a prompt of 512 and of 32 generated after it, to set beside those of
// `omg bench MODEL.gguf -p 512 -n 32 -r 1` in turn. node speed.mjs MODEL.gguf [THREADS]
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'

const PROMPT = 512
const GENERATED = 32

const [file, threads = '2'] = process.argv.slice(2)
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error })
const model = await llama.loadModel({ modelPath: file })
const context = await model.createContext({
  contextSize: 1024,
  batchSize: PROMPT,
  threads: Number(threads),
})
const sequence = context.getSequence()
const tokens = Array.from({ length: PROMPT + 1 }, (_, i) => 1000 + ((i * 7919) % 100000))
const perSecond = (count, since) => ((count / (performance.now() - since)) * 1000).toFixed(1)

// The first touch of the weights is not measured.
await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, 16))
await sequence.clearHistory()
const began = performance.now()
await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, PROMPT))
console.log(`prompt ${PROMPT}: ${perSecond(PROMPT, began)} tokens/s`)

let count = 0
let first
const options = { temperature: 0, yieldEogToken: true }
for await (const _ of sequence.evaluate(tokens.slice(PROMPT), options)) {
  if (count === 0) first = performance.now()
  if (count++ === GENERATED) break
}
console.log(`generate ${GENERATED}: ${perSecond(GENERATED, first)} tokens/s`)
process.exit(0)

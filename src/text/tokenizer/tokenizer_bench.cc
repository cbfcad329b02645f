// SPDX-License-Identifier: Apache-2.0
//
// Loading real vocabularies and encoding a megabyte of mixed prose, code and numbers with them.
#include <benchmark/benchmark.h>
#include <filesystem>

#include "base/testing/reference_dir.h"
#include "formats/gguf/reader.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {
namespace {

std::string path_of(const std::string& name) {
  return reference_dir().string() + "/tokenizers/" + name + ".gguf";
}

std::string sample(size_t size) {
  const std::string paragraph =
      "It was the best of times, it was the worst of times; on 14 July 1789 the king's diary said "
      "\"nothing\".\n\nvoid copy(const char* from, char* to, int n) {\n    for (int i = 0; i < n; "
      "++i) to[i] = from[i];  // 1234567 bytes at most\n}\n\nDie Größe der Bäume überrascht; "
      "съешь ещё булок. 你好，世界。 🚀🚀 I'll say it isn't so...\n";
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i * 7919) + " " + paragraph;
  return text;
}

void encode(benchmark::State& state, const std::string& name) {
  if (!std::filesystem::exists(path_of(name))) {
    state.SkipWithError("no reference folder");
    return;
  }
  const auto tokenizer = make_tokenizer(gguf::open(path_of(name)).metadata());
  const std::string text = sample(1 << 20);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void encode_one_word(benchmark::State& state, const std::string& name) {
  if (!std::filesystem::exists(path_of(name))) {
    state.SkipWithError("no reference folder");
    return;
  }
  const auto tokenizer = make_tokenizer(gguf::open(path_of(name)).metadata());
  const std::string text(1 << 20, 'a');
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void load(benchmark::State& state, const std::string& name) {
  if (!std::filesystem::exists(path_of(name))) {
    state.SkipWithError("no reference folder");
    return;
  }
  const ModelFile file = gguf::open(path_of(name));
  for (auto _ : state) benchmark::DoNotOptimize(make_tokenizer(file.metadata()));
}

BENCHMARK_CAPTURE(encode, gpt_2, "gpt-2")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama_bpe, "llama-bpe")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, deepseek_coder, "deepseek-coder")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama_spm, "llama-spm")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode_one_word, llama_bpe, "llama-bpe")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode_one_word, llama_spm, "llama-spm")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, llama_bpe, "llama-bpe")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, llama_spm, "llama-spm")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace omg

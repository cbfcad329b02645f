// SPDX-License-Identifier: Apache-2.0
//
// How fast a file's text becomes tokens, one thread, for bench/compare_tokenizer.py:
//   tokenizer_speed MODEL.gguf TEXT ROUNDS
// prints {"bytes_per_second": [one number a round], "tokens": count}. Loading does not count.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/mapped_file.h"
#include "formats/gguf/reader.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {
namespace {

void measure(const char* model, const char* path, int rounds) {
  const auto tokenizer = make_tokenizer(gguf::open(model).metadata());
  const MappedFile file = MappedFile::open(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  size_t tokens = 0;
  std::printf("{\"bytes_per_second\": [");
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    tokens = tokenizer->encode(text).size();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%s%.0f", round == 0 ? "" : ", ",
                static_cast<double>(text.size()) / seconds.count());
  }
  std::printf("], \"tokens\": %zu}\n", tokens);
}

}  // namespace
}  // namespace omg

int main(int argc, char** argv) {
  const int rounds = argc == 4 ? std::atoi(argv[3]) : 0;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: tokenizer_speed MODEL.gguf TEXT ROUNDS\n");
    return 2;
  }
  try {
    omg::measure(argv[1], argv[2], rounds);
  } catch (const omg::Error& error) {
    std::fprintf(stderr, "tokenizer_speed: %s\n", error.what());
    return 1;
  }
}

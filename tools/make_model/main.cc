// SPDX-License-Identifier: Apache-2.0
//
// The command line of the model maker.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "base/error.h"
#include "tools/make_model/make_model.h"

namespace omg::model_maker {
namespace {

/// Options that were given; the preset has the rest.
struct Overrides {
  std::optional<uint32_t> layers, embedding, feed_forward, heads, kv_heads, head_size, vocabulary,
      context, experts, experts_used, expert_feed_forward, sliding_window, rope_dimensions;
  std::optional<float> rope_base;
  std::optional<std::string> name;
  std::optional<TokenizerKind> tokenizer;
  std::optional<bool> tied;

  void apply(Options& options) const {
    const auto set = [](auto& field, const auto& given) {
      if (given) field = *given;
    };
    // Where the sizes that it follows from change, a preset's head size gives way.
    if ((embedding || heads) && !head_size &&
        options.head_size * options.heads == options.embedding)
      options.head_size = 0;
    set(options.layers, layers);
    set(options.embedding, embedding);
    set(options.feed_forward, feed_forward);
    set(options.heads, heads);
    set(options.kv_heads, kv_heads);
    set(options.head_size, head_size);
    set(options.vocabulary, vocabulary);
    set(options.context, context);
    set(options.experts, experts);
    set(options.experts_used, experts_used);
    set(options.expert_feed_forward, expert_feed_forward);
    set(options.sliding_window, sliding_window);
    set(options.rope_dimensions, rope_dimensions);
    set(options.rope_base, rope_base);
    set(options.name, name);
    set(options.tokenizer, tokenizer);
    set(options.tied_embeddings, tied);
    if (options.family == Family::kPhi2 && heads && !kv_heads) options.kv_heads = options.heads;
  }
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw Error(ErrorCode::kNotFound, "cannot read " + path);
  return text.str();
}

int run(int argc, char** argv) {
  CLI::App app{
      "Writes a GGUF model of random weights with the shape, weight types and vocabulary of a real "
      "one.\nExamples:\n"
      "  make_model --preset llama-3.2-1b --type Q4_K_M --seed 1 model.gguf\n"
      "  make_model --preset tiny-gemma2 --type F32 --layers 26 --heads 8 model.gguf",
      "make_model"};
  std::string preset_name, path;
  Overrides overrides;
  Options given;
  std::string presets = "one of:";
  for (const auto name : preset_names()) presets.append(" ").append(name);
  app.add_option("OUT.gguf", path, "file to write")->required();
  app.add_option("--preset", preset_name, presets)->required();
  app.add_option("--type", given.type,
                 "a weight type (Q8_0) or a mixture as published files have it (Q4_K_M)")
      ->capture_default_str();
  app.add_flag("--pure", given.pure, "the base type for every matrix, outputs included");
  app.add_option("--seed", given.seed, "the same seed gives the same file")->capture_default_str();
  app.add_option("--name", overrides.name, "value of general.name");
  std::string template_path;
  app.add_option("--template", template_path,
                 "file with the chat template, instead of the family's; \"none\" for no template");
  app.add_option("--layers", overrides.layers, "number of layers");
  app.add_option("--embedding", overrides.embedding, "length of a hidden state");
  app.add_option("--ffn", overrides.feed_forward, "feed-forward length");
  app.add_option("--heads", overrides.heads, "attention heads");
  app.add_option("--kv-heads", overrides.kv_heads, "key and value heads");
  app.add_option("--head-size", overrides.head_size, "length of a head (embedding / heads)");
  app.add_option("--vocab", overrides.vocabulary, "number of tokens, at least 400");
  app.add_option("--context", overrides.context, "context length that the file claims");
  app.add_option("--experts", overrides.experts, "experts of a layer (mixtral, qwen3moe)");
  app.add_option("--experts-used", overrides.experts_used, "experts for each token");
  app.add_option("--expert-ffn", overrides.expert_feed_forward, "feed-forward length of an expert");
  app.add_option("--window", overrides.sliding_window, "sliding window of attention, in tokens");
  app.add_option("--rope-dimensions", overrides.rope_dimensions, "rotated part of a head");
  app.add_option("--rope-base", overrides.rope_base, "base of the rope frequencies");
  bool tied = false;
  const auto* tied_flag =
      app.add_flag("--tied,!--untied", tied, "whether embeddings serve as output too");
  const std::map<std::string, TokenizerKind> kinds = {{"spm", TokenizerKind::kSentencePiece},
                                                      {"bpe", TokenizerKind::kByteLevel}};
  app.add_option("--tokenizer", overrides.tokenizer, "spm (SentencePiece) or bpe (byte-level)")
      ->transform(CLI::CheckedTransformer(kinds));
  CLI11_PARSE(app, argc, argv);
  if (tied_flag->count() > 0) overrides.tied = tied;

  Options options = preset(preset_name);
  options.type = given.type;
  options.pure = given.pure;
  options.seed = given.seed;
  if (template_path == "none") {
    options.chat_template = "";
  } else if (!template_path.empty()) {
    options.chat_template = read_file(template_path);
  }
  overrides.apply(options);
  const auto start = std::chrono::steady_clock::now();
  const uint64_t bytes = make_model(options, path);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%s: %.1f MB in %.2f s\n", path.c_str(), static_cast<double>(bytes) / 1e6,
              seconds.count());
  return 0;
}

}  // namespace
}  // namespace omg::model_maker

int main(int argc, char** argv) {
  try {
    return omg::model_maker::run(argc, argv);
  } catch (const omg::Error& error) {
    std::fprintf(stderr, "make_model: %s\n", error.what());
    return omg::exit_code(error.code());
  }
}

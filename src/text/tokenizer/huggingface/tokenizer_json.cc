// SPDX-License-Identifier: Apache-2.0
//
// Reads a tokenizer.json. What the files beside it add follows what transformers does with them:
// tokens that they name as special are, and for some classes they say whether BOS and EOS are
// added.
// Source: https://huggingface.co/docs/tokenizers/api/tokenizer
#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "text/tokenizer/huggingface/assembled.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxAdded = 1u << 20;

/// Classes of transformers that make their own post-processor out of add_bos_token (by default
/// true) and add_eos_token (by default false), whatever tokenizer.json says.
constexpr std::array<std::string_view, 4> kFramedClasses = {"LlamaTokenizer", "CodeLlamaTokenizer",
                                                            "GemmaTokenizer", "CohereTokenizer"};

class Assembly {
 public:
  Assembly(const JsonNode& root, const Settings& settings) : root_(root), settings_(settings) {}

  Parts build() {
    if (const auto node = root_.find("pre_tokenizer")) parts_.splitter = WordSplitter(*node);
    parts_.model = read_model(root_.get("model"), parts_.splitter.is_byte_level());
    if (const auto node = root_.find("normalizer")) parts_.normalizer = read_normalizer(*node);
    read_added();
    if (parts_.model.tokens->size() == 0) root_.get("model").fail("has no tokens");
    make_matchers();
    if (const auto node = root_.find("post_processor"))
      parts_.frame = read_post_processor(*node, *parts_.model.tokens);
    if (const auto node = root_.find("decoder")) parts_.decoder = Decoder(*node);
    set_special();
    return std::move(parts_);
  }

 private:
  TokenId find(const std::optional<std::string>& text) const {
    return text ? parts_.model.tokens->find(*text) : -1;
  }

  void add(AddedToken token, const JsonNode& where) {
    if (token.content.empty() || !texts_.insert(token.content).second) return;
    // The library goes by the vocabulary where the two differ; no published file does.
    const TokenId known = parts_.model.tokens->find_in_model(token.content);
    if (known >= 0 && known != token.id)
      where.fail("gives " + in_quotes(token.content) + " the id " + std::to_string(token.id) +
                 ", the model's vocabulary " + std::to_string(known));
    parts_.model.tokens->add(token.content, token.id, where);
    parts_.added.push_back(std::move(token));
  }

  void read_added() {
    if (const auto list = root_.find("added_tokens")) {
      for (const JsonNode& node : list->elements(kMaxAdded)) {
        AddedToken token = read_added_token(node, false);
        token.id = static_cast<TokenId>(node.get("id").as_u32(static_cast<uint32_t>(kMaxTokens)));
        add(std::move(token), node);
      }
    }
    for (const AddedToken& token : settings_.added) add(token, root_);
    std::vector<std::string> special = settings_.special;
    for (const auto& text : {settings_.bos, settings_.eos, settings_.unknown, settings_.padding}) {
      if (text) special.push_back(*text);
    }
    for (const std::string& text : special) {
      AddedToken token;
      token.content = text;
      token.special = true;
      token.normalized = false;
      token.id = parts_.model.tokens->find_in_model(text);
      if (token.id >= 0) add(std::move(token), root_);
    }
  }

  void make_matchers() {
    std::vector<AddedToken> raw, normalized;
    for (const AddedToken& token : parts_.added)
      (token.normalized ? normalized : raw).push_back(token);
    std::vector<std::string> contents;
    for (const AddedToken& token : raw) contents.push_back(token.content);
    if (!raw.empty()) parts_.raw = std::make_unique<AddedTokenMatcher>(std::move(raw), contents);
    contents.clear();
    for (const AddedToken& token : normalized) {
      contents.push_back(parts_.normalizer ? parts_.normalizer->normalize(token.content)
                                           : token.content);
    }
    if (!normalized.empty())
      parts_.normalized = std::make_unique<AddedTokenMatcher>(std::move(normalized), contents);
  }

  void set_special() {
    SpecialTokens& special = parts_.special;
    const auto set = [this](std::optional<TokenId>& id, const std::optional<std::string>& text) {
      if (const TokenId found = find(text); found >= 0) id = found;
    };
    set(special.bos, settings_.bos);
    set(special.eos, settings_.eos);
    set(special.unknown, settings_.unknown);
    set(special.padding, settings_.padding);
    if (!special.unknown && parts_.model.unknown >= 0) special.unknown = parts_.model.unknown;
    const auto exists = [this](uint32_t id) { return id < parts_.model.tokens->size(); };
    for (const uint32_t id : settings_.end_ids) {
      if (exists(id)) parts_.end_ids.push_back(static_cast<TokenId>(id));
    }
    if (!special.eos && !parts_.end_ids.empty()) special.eos = parts_.end_ids.front();
    set_frame();
    if (!special.bos && settings_.bos_id && exists(*settings_.bos_id))
      special.bos = static_cast<TokenId>(*settings_.bos_id);
    if (!special.bos && !parts_.frame.before.empty()) special.bos = parts_.frame.before.front();
    special.add_bos = !parts_.frame.before.empty();
    special.add_eos = !parts_.frame.after.empty();
  }

  void set_frame() {
    std::string_view name = settings_.tokenizer_class;
    if (name.ends_with("Fast")) name.remove_suffix(4);
    if (std::find(kFramedClasses.begin(), kFramedClasses.end(), name) == kFramedClasses.end())
      return;
    parts_.frame = {};
    if (settings_.add_bos.value_or(true) && parts_.special.bos)
      parts_.frame.before = {*parts_.special.bos};
    if (settings_.add_eos.value_or(false) && parts_.special.eos)
      parts_.frame.after = {*parts_.special.eos};
  }

  const JsonNode& root_;
  const Settings& settings_;
  Parts parts_;
  std::unordered_set<std::string> texts_;
};

}  // namespace

std::unique_ptr<Tokenizer> read_tokenizer_json(const JsonNode& root, const Settings& settings) {
  return std::make_unique<AssembledTokenizer>(Assembly(root, settings).build());
}

}  // namespace omg::huggingface

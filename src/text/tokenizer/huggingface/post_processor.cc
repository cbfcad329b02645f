// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/post_processor.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxDepth = 8;

TokenId read_id(const JsonNode& node, const TokenTable& tokens) {
  const auto id = static_cast<TokenId>(node.as_u32(static_cast<uint32_t>(kMaxTokens)));
  if (!tokens.contains(id) || tokens.text(id).empty())
    node.fail("is " + std::to_string(id) + ", which no token has");
  return id;
}

/// ["[SEP]", 102]
TokenId read_pair(const JsonNode& node, const TokenTable& tokens) {
  const auto parts = node.elements(2);
  if (parts.size() != 2) node.fail("is no pair of text and id");
  return read_id(parts[1], tokens);
}

Frame read_template(const JsonNode& node, const TokenTable& tokens) {
  Frame frame;
  const JsonNode special = node.get("special_tokens");
  bool after_text = false;
  for (const JsonNode& part : node.get("single").elements(kMaxSteps)) {
    if (const auto sequence = part.find("Sequence")) {
      const JsonNode id = sequence->get("id");
      if (id.as_string() != "A" || after_text) id.unsupported("asks for more than one text, once");
      after_text = true;
      continue;
    }
    const JsonNode name = part.get("SpecialToken").get("id");
    const JsonNode ids = special.get(name.as_string()).get("ids");
    for (const JsonNode& id : ids.elements(kMaxSteps))
      (after_text ? frame.after : frame.before).push_back(read_id(id, tokens));
  }
  if (!after_text) node.get("single").unsupported("leaves the text out");
  return frame;
}

Frame read(const JsonNode& node, const TokenTable& tokens, size_t depth) {
  const JsonNode type_node = node.get("type");
  const std::string_view type = type_node.as_string();
  if (type == "TemplateProcessing") return read_template(node, tokens);
  if (type == "BertProcessing" || type == "RobertaProcessing")
    return {{read_pair(node.get("cls"), tokens)}, {read_pair(node.get("sep"), tokens)}};
  if (type == "ByteLevel") return {};  // concerns offsets alone
  if (type == "Sequence") {
    if (depth >= kMaxDepth) node.fail("is a sequence inside more than 8 others");
    Frame frame;  // each step goes around what the steps before it have made
    for (const JsonNode& step : node.get("processors").elements(kMaxSteps)) {
      const Frame outer = read(step, tokens, depth + 1);
      frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
      frame.after.insert(frame.after.end(), outer.after.begin(), outer.after.end());
      if (frame.before.size() + frame.after.size() > kMaxSteps)
        node.exceeds("tokens", frame.before.size() + frame.after.size(), kMaxSteps);
    }
    return frame;
  }
  type_node.unsupported("names the post-processor " + in_quotes(type) +
                        ", which this program does not know");
}

}  // namespace

Frame read_post_processor(const JsonNode& node, const TokenTable& tokens) {
  return read(node, tokens, 0);
}

}  // namespace omg::huggingface

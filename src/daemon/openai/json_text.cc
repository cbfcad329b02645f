// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/json_text.h"

#include <cmath>
#include <fmt/format.h>
#include <iterator>

#include "base/utf8.h"

namespace omg::openai {
namespace {

void append_escape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
  }
}

/// The fields that a token and its alternatives share.
void append_token(std::string& out, std::string_view bytes, float logprob) {
  out += "{\"token\":";
  append_json_string(out, token_text(bytes));
  out += ",\"logprob\":";
  append_logprob(out, logprob);
  out += ",\"bytes\":[";
  for (size_t i = 0; i < bytes.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ",",
                   static_cast<unsigned char>(bytes[i]));
  }
  out += ']';
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out += text.substr(begin, i - begin);
    append_escape(out, byte);
    begin = i + 1;
  }
  out += text.substr(begin);
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

void append_logprob(std::string& out, float logprob) {
  if (!(logprob >= -9999.0f)) logprob = -9999.0f;  // also what is no number
  if (logprob > 0) logprob = 0;
  fmt::format_to(std::back_inserter(out), "{}", logprob == 0 ? 0.0f : logprob);  // no "-0"
}

std::string token_text(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) {
    fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(byte));
  }
  return text;
}

void append_chat_logprobs(std::string& out, std::span<const AnswerToken> tokens) {
  for (const AnswerToken& token : tokens) {
    if (!out.empty()) out += ',';
    append_token(out, token.bytes, token.logprob);
    out += ",\"top_logprobs\":[";
    for (size_t i = 0; i < token.top.size(); ++i) {
      if (i > 0) out += ',';
      append_token(out, token.top[i].bytes, token.top[i].logprob);
      out += '}';
    }
    out += "]}";
  }
}

std::string json_strings(std::span<const std::string> texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    append_json_string(out, replace_invalid_utf8(text));
  }
  return out += ']';
}

}  // namespace omg::openai

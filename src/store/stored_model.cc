// SPDX-License-Identifier: Apache-2.0
#include "store/stored_model.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/utf8.h"

namespace omg {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

void append_escaped(std::string& key, char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<uint8_t>(c);
  key += '%';
  key += kDigits[byte >> 4];
  key += kDigits[byte & 15];
}

/// The longest key is well below the 255 bytes of a file name: suffixes are put to it.
constexpr size_t kMaxKeyBytes = 200;

std::string key_of(std::string_view text) {
  std::string key;
  bool has_case = text.find("://") != std::string_view::npos;  // paths of URLs have
  for (const char c : text) {
    if (c == '@') has_case = true;
    if (c == '/') {
      key += '+';
    } else if (c == ':') {
      key += '=';
    } else if (is_upper(c) && !has_case) {
      key += static_cast<char>(c - 'A' + 'a');
    } else if (c == '@' || (is_plain(c) && !(c == '.' && key.empty()))) {
      key += c;  // a first dot would hide the file
    } else {
      append_escaped(key, c);
    }
  }
  if (key.size() <= kMaxKeyBytes) return key;
  constexpr size_t kDigestBytes = 64;
  return key.substr(0, kMaxKeyBytes - kDigestBytes - 1) + '~' + sha256(key).hex();
}

}  // namespace

StoreName::StoreName(std::string_view text) : text_(text) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kInvalidArgument,
                "invalid model name '" + replace_invalid_utf8(text.substr(0, 100)) + "': " + why);
  };
  if (text.empty()) refuse("it is empty");
  if (text.size() > kMaxBytes) refuse("it is longer than " + std::to_string(kMaxBytes) + " bytes");
  if (!is_valid_utf8(text)) refuse("it is not UTF-8");
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; })) {
    refuse("it has control characters");
  }
  if (text.front() == ' ' || text.back() == ' ') refuse("it begins or ends with a space");
  key_ = key_of(text);
}

bool FileReference::matches(const FileInfo& info) const {
  return info.is_file() && info.size == size && info.modified_ns == modified_ns &&
         info.inode == inode;
}

ModelSettings ModelSettings::over(const ModelSettings& base) const {
  ModelSettings merged = base;
  if (system) merged.system = system;
  if (chat_template) {
    merged.chat_template = chat_template;
    merged.template_syntax = template_syntax;
  }
  for (const auto& [key, value] : parameters) merged.parameters[key] = value;
  if (!messages.empty()) merged.messages = messages;
  if (license_text) merged.license_text = license_text;
  return merged;
}

uint64_t StoredModel::total_bytes() const {
  uint64_t total = 0;
  for (const Artifact& artifact : artifacts) {
    total = checked_add(total, artifact.size).value_or(UINT64_MAX);
  }
  return total;
}

Digest StoredModel::files_digest() const {
  Sha256 hasher;
  for (const Artifact& artifact : artifacts) {
    hasher.update(artifact.filename);
    hasher.update(std::string_view("\0", 1));
    if (artifact.digest) hasher.update(artifact.digest->hex());
    if (artifact.reference) hasher.update(artifact.reference->path);
    hasher.update(std::string_view("\0", 1));
    hasher.update(std::to_string(artifact.size) + "\n");
  }
  return hasher.digest();
}

std::string_view provider_name(ModelProvider provider) {
  switch (provider) {
    case ModelProvider::kHuggingFace:
      return "huggingface";
    case ModelProvider::kRegistry:
      return "registry";
    case ModelProvider::kUrl:
      return "url";
    case ModelProvider::kFile:
      return "file";
    case ModelProvider::kCreated:
      return "created";
    case ModelProvider::kBuiltIn:
      return "built-in";
  }
  return "file";
}

std::string_view owner_name(FileOwner owner) {
  switch (owner) {
    case FileOwner::kHuggingFaceCache:
      return "huggingface-cache";
    case FileOwner::kOllama:
      return "ollama";
    case FileOwner::kLmStudio:
      return "lm-studio";
    case FileOwner::kUser:
      return "user";
    case FileOwner::kProgram:
      return "program";
  }
  return "user";
}

std::string_view owner_title(FileOwner owner) {
  switch (owner) {
    case FileOwner::kHuggingFaceCache:
      return "Hugging Face's cache";
    case FileOwner::kOllama:
      return "Ollama";
    case FileOwner::kLmStudio:
      return "LM Studio";
    case FileOwner::kUser:
      return "you";
    case FileOwner::kProgram:
      return "this program";
  }
  return "you";
}

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
#include "base/model_file_name.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

namespace omg {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// Whether an upper-case word is the name of a weight type or mixture: Q4_K_M, IQ2_XXS, F16, BF16,
/// MXFP4, MXFP4_MOE, TQ1_0.
bool is_quantization(std::string_view word) {
  if (word == "F16" || word == "F32" || word == "F64" || word == "BF16") return true;
  if (word == "MXFP4" || word == "MXFP4_MOE" || word == "NVFP4") return true;
  std::string_view rest = word;
  if (rest.starts_with("IQ") || rest.starts_with("TQ")) rest.remove_prefix(1);
  if (rest.size() < 3 || rest[0] != 'Q' || !all_digits(rest.substr(1, 1)) || rest[2] != '_') {
    return false;
  }
  rest.remove_prefix(3);
  return !rest.empty() && std::all_of(rest.begin(), rest.end(), [](unsigned char c) {
    return std::isupper(c) != 0 || std::isdigit(c) != 0 || c == '_';
  });
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  if (result == "FP16") return "F16";
  if (result == "FP32") return "F32";
  return result;
}

/// The last word of a name ("-" and "." between words) that is a quantisation; "UD" before it
/// belongs to it (Unsloth's dynamic mixtures).
std::string last_quantization(std::string_view name) {
  std::vector<std::string> words;
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t end = std::min(name.find_first_of("-.", begin), name.size());
    words.push_back(upper(name.substr(begin, end - begin)));
    begin = end + 1;
  }
  for (size_t i = words.size(); i-- > 0;) {
    if (!is_quantization(words[i])) continue;
    return i > 0 && words[i - 1] == "UD" ? "UD-" + words[i] : words[i];
  }
  return "";
}

bool ends_with(std::string_view path, std::string_view ending) {
  if (path.size() < ending.size()) return false;
  for (size_t i = 0; i < ending.size(); ++i) {
    const char c = path[path.size() - ending.size() + i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != ending[i]) return false;
  }
  return true;
}

}  // namespace

std::string quantization_in_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string_view file = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  std::string found = last_quantization(file);
  if (!found.empty() || slash == std::string_view::npos) return found;
  const std::string_view folders = path.substr(0, slash);
  const size_t before = folders.rfind('/');
  return last_quantization(folders.substr(before == std::string_view::npos ? 0 : before + 1));
}

std::optional<SplitName> parse_split_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  const size_t dot = path.rfind('.');
  const bool has_ending =
      dot != std::string_view::npos && (slash == std::string_view::npos || dot > slash);
  const std::string_view name = has_ending ? path.substr(0, dot) : path;
  // "-00001-of-00003": 15 characters at the end.
  if (name.size() <= 15) return std::nullopt;
  const std::string_view end = name.substr(name.size() - 15);
  if (end[0] != '-' || end.substr(6, 4) != "-of-") return std::nullopt;
  SplitName split;
  for (const auto& [digits, number] :
       {std::pair{end.substr(1, 5), &split.part}, std::pair{end.substr(10, 5), &split.parts}}) {
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + 5, *number);
    if (error != std::errc() || stop != digits.data() + 5) return std::nullopt;
  }
  if (split.part == 0 || split.part > split.parts) return std::nullopt;
  split.stem = name.substr(0, name.size() - 15);
  return split;
}

bool is_gguf(std::string_view path) {
  return ends_with(path, ".gguf");
}

bool is_safetensors(std::string_view path) {
  return ends_with(path, ".safetensors");
}

}  // namespace omg

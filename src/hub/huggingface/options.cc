// SPDX-License-Identifier: Apache-2.0
//
// Endpoint and token as the hub's own tools find them.
#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "hub/huggingface/huggingface.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr size_t kMaxTokenBytes = 4096;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Without white space round it. A token with anything but printable ASCII in it is none.
std::string clean_token(std::string token) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!token.empty() && is_space(token.back())) token.pop_back();
  token.erase(0, static_cast<size_t>(std::find_if_not(token.begin(), token.end(), is_space) -
                                     token.begin()));
  const bool is_fine =
      token.size() <= kMaxTokenBytes &&
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!is_fine) {
    throw Error(ErrorCode::kInvalidArgument,
                "the token for Hugging Face cannot be used: it holds spaces or other characters "
                "that no token has; copy it again from huggingface.co/settings/tokens");
  }
  return token;
}

std::string read_token_file() {
  std::string path = variable("HF_TOKEN_PATH");
  if (path.empty()) {
    std::string home = variable("HF_HOME");
    if (home.empty() && !variable("XDG_CACHE_HOME").empty()) {
      home = variable("XDG_CACHE_HOME") + "/huggingface";
    }
    if (home.empty() && !variable("HOME").empty()) home = variable("HOME") + "/.cache/huggingface";
    if (home.empty()) return "";
    path = home + "/token";
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxTokenBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

/// Without a slash at the end.
std::string clean_endpoint(const std::string& text) {
  Url url = parse_url(text.find("://") == std::string::npos ? "https://" + text : text);
  url.query.clear();
  while (url.path.ends_with('/')) url.path.pop_back();
  return url.base() + url.path;
}

}  // namespace

HuggingFaceOptions HuggingFaceOptions::from_environment(const std::string& configured_token,
                                                        const std::vector<std::string>& mirrors) {
  HuggingFaceOptions options;
  if (const std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) {
    options.endpoints = {clean_endpoint(endpoint)};
  }
  for (const std::string& mirror : mirrors) options.endpoints.push_back(clean_endpoint(mirror));
  std::string token = variable("HF_TOKEN");
  if (token.empty()) token = configured_token;
  if (token.empty()) token = read_token_file();
  options.token = clean_token(std::move(token));
  return options;
}

}  // namespace omg

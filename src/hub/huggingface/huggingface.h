// SPDX-License-Identifier: Apache-2.0
//
// Hugging Face's hub and its mirrors: what a repository holds at a commit, and the search.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/remote_model.h"
#include "hub/selection.h"
#include "net/http_client.h"

namespace omg {

struct HuggingFaceOptions {
  /// Tried in this order where one cannot be reached. The token goes to the first alone.
  std::vector<std::string> endpoints = {"https://huggingface.co"};
  std::string token;  // "" = none

  /// HF_ENDPOINT; HF_TOKEN, else `configured_token`, else the file that the hub's own tools keep
  /// (HF_TOKEN_PATH, $HF_HOME/token, ~/.cache/huggingface/token). `mirrors` come after the
  /// endpoint.
  static HuggingFaceOptions from_environment(const std::string& configured_token = "",
                                             const std::vector<std::string>& mirrors = {});
};

struct SearchResult {
  std::string id;
  uint64_t downloads = 0;
  uint64_t likes = 0;
  std::string pipeline;
  std::string updated;  // RFC 3339
  bool is_gated = false;
  bool has_gguf = false;
};

struct SearchOptions {
  size_t most = 20;
  bool only_gguf = true;
  std::string author;
};

/// Not thread-safe, as its client. Throws HttpError and Error; hostile answers are Error(kCorrupt)
/// or kLimitExceeded.
class HuggingFace {
 public:
  /// `client` must outlive this.
  HuggingFace(HttpClient& client, HuggingFaceOptions options);

  /// Everything in the repository `id` ("org/repo") at `revision`, no choice made. 404 and 401 of
  /// what is not there: Error(kNotFound) with near names. Gated: Error(kInvalidArgument) with the
  /// page where its terms are accepted.
  RemoteModel list(const std::string& id, const std::string& revision = "main");
  /// list(), then select_files(); of a gated model also whether its files are given to us.
  RemoteModel resolve(const std::string& id, const std::string& revision,
                      const SelectionOptions& options);
  std::vector<SearchResult> search(const std::string& query, const SearchOptions& options = {});

  const HuggingFaceOptions& options() const { return options_; }

 private:
  struct Answer;
  Answer ask(const std::string& path, const std::string& what);
  RemoteModel list_at(size_t endpoint, const std::string& id, const std::string& revision);
  void complete_from_tree(RemoteModel& model, size_t endpoint);
  HttpResponse look_at(const RemoteFile& file);
  void complete_from_head(RemoteFile& file);
  [[noreturn]] void refuse(const HttpResponse& response, const std::string& id,
                           const std::string& revision, size_t endpoint);
  HttpRequest request_to(size_t endpoint, const std::string& url) const;

  HttpClient& client_;
  HuggingFaceOptions options_;
};

/// Internal, for tests and fuzzers: readers of what the hub answers. `file_url` stands before a
/// file's path. Counts and sizes are capped; paths are checked.
RemoteModel parse_model_info(std::string_view json, const std::string& file_url);
/// Adds the files of one page.
void parse_tree_page(std::string_view json, const std::string& file_url,
                     std::vector<RemoteFile>& files);
std::vector<SearchResult> parse_search_page(std::string_view json);
/// The target of rel="next" in a Link header (RFC 8288), or "".
std::string next_link(std::string_view header);

}  // namespace omg

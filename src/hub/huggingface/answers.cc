// SPDX-License-Identifier: Apache-2.0
//
// Readers of what Hugging Face's API answers.
#include <algorithm>

#include "base/error.h"
#include "hub/fetch.h"
#include "hub/huggingface/huggingface.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr size_t kMaxFiles = 200'000;
constexpr size_t kMaxTags = 1'000;
/// More than any disk; keeps sums of sizes far from 2^64.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 50;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::kCorrupt, "the hub's answer cannot be used: " + why +
                                       "; check that the endpoint is a Hugging Face hub");
}

bool is_hex40(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// A file of either listing. `sha256_key` is where the listing keeps a large file's digest, and
/// `oid` git's name of the blob.
RemoteFile read_file(const json::object& item, const std::string& path, const std::string& oid,
                     std::string_view sha256_key, const std::string& file_url) {
  RemoteFile file;
  file.path = path;
  check_remote_path(file.path, "the hub");
  file.size = number_member(item, "size").value_or(kUnknownSize);
  if (const json::object* lfs = object_member(item, "lfs")) {
    const std::string text = string_member(*lfs, sha256_key);
    file.sha256 = Digest::parse(text);
    if (!text.empty() && !file.sha256) refuse("the digest of " + path + " is malformed");
    file.size = number_member(*lfs, "size").value_or(file.size);
    if (file.sha256) file.etag = file.sha256->hex();
  } else if (is_hex40(oid)) {
    file.git_sha1 = oid;
    file.etag = oid;
  }
  if (file.size != kUnknownSize && file.size > kMaxFileBytes) {
    refuse(path + " is said to have " + std::to_string(file.size) + " bytes");
  }
  file.url = file_url + percent_encode(file.path, "/");
  file.role = role_of_path(file.path);
  return file;
}

std::string license_of(const json::object& info, const std::vector<std::string>& tags) {
  if (const json::object* card = object_member(info, "cardData")) {
    if (const std::string text = string_member(*card, "license"); !text.empty()) return text;
    const json::array* several = array_member(*card, "license");
    if (several != nullptr && !several->empty() && several->front().is_string()) {
      return std::string(several->front().get_string());
    }
  }
  for (const std::string& tag : tags) {
    if (tag.starts_with("license:")) return tag.substr(8);
  }
  return "";
}

/// false, "auto" or "manual".
bool is_gated(const json::object& object) {
  const json::value* gated = member(object, "gated");
  return gated != nullptr && *gated != json::value(false);
}

std::vector<std::string> read_tags(const json::object& object) {
  std::vector<std::string> tags;
  const json::array* list = array_member(object, "tags");
  if (list == nullptr) return tags;
  for (const json::value& tag : *list) {
    if (tag.is_string() && tags.size() < kMaxTags) {
      tags.push_back(clean_text(std::string_view(tag.get_string())));
    }
  }
  return tags;
}

}  // namespace

RemoteModel parse_model_info(std::string_view text, const std::string& file_url) {
  const json::value value = parse_answer(text, "the hub's answer");
  const json::object* info = value.if_object();
  if (info == nullptr) refuse("it is no JSON object");
  RemoteModel model;
  model.repository = clean_text(string_member(*info, "id"));
  model.commit = string_member(*info, "sha");
  if (!is_hex40(model.commit)) refuse("it names no commit");
  model.pipeline = clean_text(string_member(*info, "pipeline_tag"));
  model.tags = read_tags(*info);
  model.is_gated = is_gated(*info);
  model.license = clean_text(license_of(*info, model.tags));
  const json::array* siblings = array_member(*info, "siblings");
  if (siblings == nullptr) return model;
  if (siblings->size() > kMaxFiles) refuse("it lists more than 200000 files");
  for (const json::value& sibling : *siblings) {
    const json::object* item = sibling.if_object();
    if (item == nullptr) refuse("a file in it is no JSON object");
    model.files.push_back(read_file(*item, string_member(*item, "rfilename"),
                                    string_member(*item, "blobId"), "sha256", file_url));
  }
  return model;
}

void parse_tree_page(std::string_view text, const std::string& file_url,
                     std::vector<RemoteFile>& files) {
  const json::value value = parse_answer(text, "the hub's list of files");
  const json::array* list = value.if_array();
  if (list == nullptr) refuse("its list of files is no JSON array");
  for (const json::value& entry : *list) {
    const json::object* item = entry.if_object();
    if (item == nullptr) refuse("a file in its list is no JSON object");
    if (string_member(*item, "type") != "file") continue;
    if (files.size() >= kMaxFiles) refuse("it lists more than 200000 files");
    files.push_back(read_file(*item, string_member(*item, "path"), string_member(*item, "oid"),
                              "oid", file_url));
  }
}

std::vector<SearchResult> parse_search_page(std::string_view text) {
  const json::value value = parse_answer(text, "the hub's search result");
  const json::array* list = value.if_array();
  if (list == nullptr) refuse("its search result is no JSON array");
  std::vector<SearchResult> results;
  for (const json::value& entry : *list) {
    const json::object* item = entry.if_object();
    if (item == nullptr) refuse("a model in its search result is no JSON object");
    SearchResult result;
    result.id = clean_text(string_member(*item, "id"));
    if (result.id.empty()) result.id = clean_text(string_member(*item, "modelId"));
    if (result.id.empty()) continue;
    result.downloads = number_member(*item, "downloads").value_or(0);
    result.likes = number_member(*item, "likes").value_or(0);
    result.pipeline = clean_text(string_member(*item, "pipeline_tag"));
    result.updated = clean_text(string_member(*item, "lastModified"));
    result.is_gated = is_gated(*item);
    const auto tags = read_tags(*item);
    result.has_gguf = std::find(tags.begin(), tags.end(), "gguf") != tags.end();
    results.push_back(std::move(result));
  }
  return results;
}

std::string next_link(std::string_view header) {
  while (true) {
    const size_t open = header.find('<');
    const size_t close = header.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return "";
    const std::string_view target = header.substr(open + 1, close - open - 1);
    header.remove_prefix(close + 1);
    const std::string_view parameters = header.substr(0, header.find('<'));
    for (const char* form : {"rel=\"next\"", "rel=next"}) {
      if (parameters.find(form) != std::string_view::npos) return std::string(target);
    }
  }
}

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// What a remote path may be.
#include "hub/remote_model.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "base/utf8.h"

namespace omg {
namespace {

constexpr size_t kMaxPathBytes = 1024;
constexpr size_t kMaxPartBytes = 255;  // NAME_MAX of Linux's file systems

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 100)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte >= 0x7f ? '?' : c;
  }
  return result;
}

/// Why a path is refused, or "".
std::string fault_of(const std::string& path) {
  if (path.empty()) return "it is empty";
  if (path.size() > kMaxPathBytes) return "it has more than 1024 bytes";
  if (!is_valid_utf8(path)) return "it is no UTF-8";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return "it holds control characters";
    if (c == '\\' || c == ':') return "it holds '\\' or ':'";
  }
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..")
      return "it has the part '" + std::string(part) + "'";
    if (part.size() > kMaxPartBytes) return "a part of it has more than 255 bytes";
    begin = end + 1;
  }
  return "";
}

}  // namespace

uint64_t RemoteModel::total_bytes() const {
  uint64_t total = 0;
  for (const RemoteFile& file : files) {
    const auto sum = checked_add(total, file.size);
    if (!sum) {
      throw Error(ErrorCode::kCorrupt, "the sizes of the files of " + name +
                                           " add up to more than 2^64 bytes; the hub lies");
    }
    total = *sum;
  }
  return total;
}

std::string plain_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

void check_remote_path(const std::string& path, const std::string& source) {
  const std::string fault = fault_of(path);
  if (fault.empty()) return;
  throw Error(ErrorCode::kCorrupt, source + " names the file '" + printable(path) + "': " + fault +
                                       "; do not use this repository");
}

}  // namespace omg

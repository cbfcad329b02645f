// SPDX-License-Identifier: Apache-2.0
//
// URLs through libcurl's own parser, with what we do not accept refused.
#include "net/url.h"

#include <algorithm>
#include <charconv>
#include <curl/curl.h>
#include <memory>

#include "base/error.h"

namespace omg {
namespace {

constexpr size_t kMaxUrlBytes = 8192;

struct CurlUrlDeleter {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
using CurlUrl = std::unique_ptr<CURLU, CurlUrlDeleter>;

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  std::string shown;
  for (const char c : text.substr(0, 200)) {
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "cannot use the URL '" + shown + "': " + why +
                  "; give an address like https://example.org/folder/model.gguf");
}

/// "" where the part is missing.
std::string part(CURLU* handle, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(handle, which, &text, 0) != CURLUE_OK || text == nullptr) return "";
  std::string result = text;
  curl_free(text);
  return result;
}

void check_characters(std::string_view text) {
  if (text.size() > kMaxUrlBytes) {
    refuse(text, "it has more than " + std::to_string(kMaxUrlBytes) + " bytes");
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) refuse(text, "it holds spaces or control characters");
  }
}

/// The library decodes percent-encoded hosts, so what it gives back is checked, not what was asked:
/// a host of other characters would not come through being written and read again.
void check_host(std::string_view text, std::string_view host) {
  const bool is_address = host.starts_with('[') && host.ends_with(']');
  if (is_address) host = host.substr(1, host.size() - 2);
  const std::string_view also = is_address ? ":." : "-._";
  const bool is_plain = std::all_of(host.begin(), host.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || also.find(c) != also.npos;
  });
  if (host.empty()) refuse(text, "it names no host");
  if (!is_plain) {
    refuse(text,
           "its host holds other characters than letters, digits, '-', '.' and '_' (names "
           "in other scripts are written xn--...)");
  }
}

Url from_handle(CURLU* handle, std::string_view text) {
  Url url;
  url.scheme = part(handle, CURLUPART_SCHEME);
  for (char& c : url.scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (url.scheme != "http" && url.scheme != "https") refuse(text, "it is neither http nor https");
  if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty()) {
    refuse(text, "it holds a user name or a password");
  }
  url.host = part(handle, CURLUPART_HOST);
  for (char& c : url.host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  check_host(text, url.host);
  if (!part(handle, CURLUPART_ZONEID).empty()) refuse(text, "it names a network interface");
  const std::string port = part(handle, CURLUPART_PORT);
  url.port = url.scheme == "https" ? 443 : 80;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || end != port.data() + port.size() || url.port == 0) {
      refuse(text, "its port is not a number from 1 to 65535");
    }
  }
  url.path = part(handle, CURLUPART_PATH);
  if (url.path.empty()) url.path = "/";
  url.query = part(handle, CURLUPART_QUERY);
  return url;
}

}  // namespace

std::string Url::origin() const {
  return scheme + "://" + host + ":" + std::to_string(port);
}

std::string Url::base() const {
  const bool usual = port == (scheme == "https" ? 443 : 80);
  return scheme + "://" + host + (usual ? "" : ":" + std::to_string(port));
}

std::string Url::text() const {
  return base() + path + (query.empty() ? "" : "?" + query);
}

Url parse_url(std::string_view text) {
  check_characters(text);
  const CurlUrl handle(curl_url());
  if (!handle) throw Error(ErrorCode::kOutOfMemory, "out of memory while reading a URL");
  const CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(),
                                      CURLU_NON_SUPPORT_SCHEME);
  if (code != CURLUE_OK) refuse(text, curl_url_strerror(code));
  return from_handle(handle.get(), text);
}

Url resolve_url(const Url& base, std::string_view reference) {
  check_characters(reference);
  const CurlUrl handle(curl_url());
  if (!handle) throw Error(ErrorCode::kOutOfMemory, "out of memory while reading a URL");
  CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, base.text().c_str(), 0);
  if (code == CURLUE_OK) {
    code = curl_url_set(handle.get(), CURLUPART_URL, std::string(reference).c_str(),
                        CURLU_NON_SUPPORT_SCHEME);
  }
  if (code != CURLUE_OK) refuse(reference, curl_url_strerror(code));
  return from_handle(handle.get(), reference);
}

std::string percent_encode(std::string_view text, std::string_view keep) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved || keep.find(c) != std::string_view::npos) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    }
  }
  return result;
}

}  // namespace omg

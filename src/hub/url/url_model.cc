// SPDX-License-Identifier: Apache-2.0
#include "hub/url/url_model.h"

#include "base/error.h"
#include "base/model_file_name.h"
#include "hub/fetch.h"
#include "hub/selection.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 50;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_code = text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
                         hex_value(text[i + 2]) >= 0;
    if (is_code) {
      result += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

/// The last part of the path if it can be a file's name.
std::string file_name_of(const Url& url) {
  const std::string name = percent_decode(url.path.substr(url.path.rfind('/') + 1));
  try {
    check_remote_path(name, url.base());
  } catch (const Error&) {
    return "model.gguf";
  }
  return name.find('/') == std::string::npos ? name : "model.gguf";
}

}  // namespace

RemoteModel resolve_url_model(HttpClient& client, const UrlName& name) {
  const Url url = parse_url(name.url);
  HttpRequest request;
  request.method = "HEAD";
  request.url = name.url;
  request.total_timeout = std::chrono::seconds(60);
  HttpResponse response = fetch(client, request);
  auto size = response.headers.find_number("Content-Length");
  if (!response.ok() || !size) {  // addresses that are signed for GET refuse HEAD
    request.method = "GET";
    request.range = ByteRange{0, 1};
    response = fetch(client, request);
    if (response.status == 416) size = 0;
    if (!response.ok() && response.status != 416) {
      throw http_status_error(response, "cannot load " + url.base() + url.path);
    }
    if (response.ok()) size = response.total_size;
  }
  if (!size || *size == 0 || *size > kMaxFileBytes) {
    throw Error(ErrorCode::kCorrupt,
                "cannot load " + url.base() + url.path + ": " +
                    (size ? "it is said to have " + std::to_string(*size) + " bytes"
                          : "the server does not tell its size") +
                    "; check the address");
  }
  RemoteFile file;
  file.path = file_name_of(url);
  file.size = *size;
  file.url = name.url;
  const auto linked = response.find_header("X-Linked-Etag");
  file.etag = clean_text(plain_etag(linked ? *linked : response.headers.find("ETag").value_or("")));
  if (linked) file.sha256 = Digest::parse(file.etag);
  file.role = role_of_path(file.path);
  RemoteModel model;
  model.source = RemoteSource::kUrl;
  model.name = name.url;
  model.endpoint = url.base();
  model.repository = name.url;
  model.commit = file.etag;
  model.quantization = quantization_in_name(file.path);
  model.files.push_back(std::move(file));
  return model;
}

}  // namespace omg

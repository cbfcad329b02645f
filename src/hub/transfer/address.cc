// SPDX-License-Identifier: Apache-2.0
//
// See address.h.
#include "hub/transfer/address.h"

#include "net/url.h"

namespace omg {
namespace {

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::string bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

RemoteAddress::Answer RemoteAddress::get(TransferConnection& connection,
                                         const CancellationToken& cancellation) {
  const std::lock_guard lock(mutex_);
  if (known_) return *known_;
  try {
    known_ = ask(connection, cancellation);
  } catch (const HttpError& error) {
    const bool is_refusal = error.status() == 401 || error.status() == 403;
    if (!is_refusal || !renew_ || generation_ == 0) throw;
    // It worked before: the credentials have expired, not the right to the file.
    const RemoteFile renewed = renew_();
    file_.url = renewed.url;
    file_.authorization = renewed.authorization;
    file_.addresses = renewed.addresses;
    known_ = ask(connection, cancellation);
  }
  known_->generation = ++generation_;
  return *known_;
}

size_t RemoteAddress::refused(uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (known_ && known_->generation == generation) {
    known_.reset();
    ++refusals_;
  }
  return refusals_;
}

void RemoteAddress::accepted() {
  const std::lock_guard lock(mutex_);
  refusals_ = 0;
}

void RemoteAddress::check_unchanged(const HttpResponse& response) const {
  const auto changed = [&](const std::string& what) {
    throw RemoteFileChanged("cannot download '" + file_.path + "': " + what +
                            " since its model was looked up; pull it again");
  };
  // With a digest known, an ETag that is not the hub's own word (a content host's) proves nothing.
  auto etag = response.find_header("X-Linked-ETag");
  if (!etag && !file_.sha256) etag = response.find_header("ETag");
  if (etag && !file_.etag.empty() && bare_etag(*etag) != bare_etag(file_.etag)) {
    changed("it has changed on the server");
  }
  const auto size = response.find_header("X-Linked-Size");
  const bool other_size = size && *size != std::to_string(file_.size);
  if (other_size || (response.total_size && *response.total_size != file_.size)) {
    changed("its size has changed on the server");
  }
}

RemoteAddress::Answer RemoteAddress::ask(TransferConnection& connection,
                                         const CancellationToken& cancellation) {
  HttpRequest request;
  request.url = file_.url;
  request.authorization = file_.authorization;
  request.addresses = file_.addresses;
  request.redirects = HttpRedirects::kSameOrigin;
  // Not HEAD, which is refused where an address is signed for GET.
  request.range = ByteRange{0, 1};
  request.cancellation = cancellation;
  request.stall_timeout = std::chrono::seconds(30);
  request.sink = [](std::string_view) { return true; };
  const HttpResponse response = connection.send(request);
  if (!response.ok() && !is_redirect(response.status)) {
    throw http_status_error(response, "cannot download '" + file_.path + "'");
  }
  check_unchanged(response);
  if (!is_redirect(response.status)) {
    return {response.url, file_.authorization, response.addresses, 0};
  }
  const auto location = response.headers.find("Location");
  const Url from = parse_url(response.url);
  if (!location) {
    throw HttpError(ErrorCode::kCorrupt, HttpFailure::kRedirect, 0,
                    "cannot download '" + file_.path + "': " + from.host +
                        " redirects without an address; tell whoever runs the server");
  }
  const Url to = resolve_url(from, *location);
  if (from.scheme == "https" && to.scheme == "http") {
    throw HttpError(ErrorCode::kCorrupt, HttpFailure::kRedirect, 0,
                    "cannot download '" + file_.path + "': " + from.host +
                        " redirects from https to http; use a server that keeps to https");
  }
  return {to.text(), "", response.addresses, 0};
}

}  // namespace omg

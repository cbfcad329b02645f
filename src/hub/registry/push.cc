// SPDX-License-Identifier: Apache-2.0
//
// Pushing: each blob in chunks to an upload that the registry opens, then the manifest.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "hub/fetch.h"
#include "hub/registry/place.h"
#include "hub/registry/registry.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr const char* kActions = "pull,push";
constexpr int kAttempts = 4;

/// Reads a blob for libcurl and hashes each byte once, however often it is sent.
class HashingReader {
 public:
  explicit HashingReader(const PushBlob& blob) : blob_(blob) {}

  size_t read(uint64_t offset, char* out, size_t capacity) {
    const size_t size = blob_.content.read(offset, out, capacity);
    if (offset <= hashed_ && offset + size > hashed_) {
      const auto skipped = static_cast<size_t>(hashed_ - offset);
      hash_.update(std::string_view(out + skipped, size - skipped));
      hashed_ = offset + size;
    }
    return size;
  }

  /// The digest of all of the blob. What a registry had already, and was not sent, is read now.
  Digest digest() {
    std::string buffer(1u << 20, '\0');
    while (hashed_ < blob_.content.size) {
      if (read(hashed_, buffer.data(),
               static_cast<size_t>(
                   std::min<uint64_t>(buffer.size(), blob_.content.size - hashed_))) == 0) {
        break;
      }
    }
    return hash_.digest();
  }

 private:
  const PushBlob& blob_;
  Sha256 hash_;
  uint64_t hashed_ = 0;
};

[[noreturn]] void refuse(const Digest& digest, const std::string& why) {
  throw Error(ErrorCode::kCorrupt, "cannot push " + digest.str() + ": " + why +
                                       "; try again, and tell whoever runs the registry");
}

/// How many bytes an open upload has, from "Range: 0-1023"; 0 without one.
uint64_t received_bytes(const HttpResponse& response) {
  const std::string_view range = response.headers.find("Range").value_or("");
  const size_t dash = range.find('-');
  uint64_t last = 0;
  if (dash == std::string_view::npos) return 0;
  const auto [end, error] =
      std::from_chars(range.data() + dash + 1, range.data() + range.size(), last);
  if (error != std::errc() || end != range.data() + range.size()) return 0;
  return last == 0 ? 0 : last + 1;  // "0-0" is what registries say of an empty upload
}

void check_told_digest(const HttpResponse& response, const Digest& digest) {
  const auto told = Digest::parse(response.headers.find("Docker-Content-Digest").value_or(""));
  if (told && *told != digest) refuse(digest, "the registry took it for " + told->str());
}

}  // namespace

/// The request for an upload's next step, where the registry said.
HttpRequest Registry::at_location(const Place& place, const HttpResponse& response) const {
  const auto location = response.headers.find("Location");
  if (!location) {
    throw Error(ErrorCode::kCorrupt,
                "cannot push to " + place.endpoint.base() +
                    ": it opens an upload and does not say where; tell whoever "
                    "runs it");
  }
  const Url url = resolve_url(parse_url(response.url), *location);
  if (place.endpoint.scheme == "https" && url.scheme != "https") {
    throw Error(ErrorCode::kCorrupt, "cannot push to " + place.endpoint.base() +
                                         ": it wants the model over plain http; tell whoever runs "
                                         "it");
  }
  HttpRequest request;
  request.url = url.text();
  request.addresses = response.addresses;
  return request;
}

void Registry::push_blob(const Place& place, const PushBlob& blob,
                         const std::function<void(const PushProgress&)>& progress,
                         const CancellationToken& cancellation) {
  const uint64_t size = blob.content.size;
  const auto report = [&](uint64_t sent, bool already_there) {
    if (progress) progress({blob.digest, sent, size, already_there});
  };
  const auto look_up = [&] {
    HttpRequest request;
    request.method = "HEAD";
    request.url = place.url("blobs/" + blob.digest.str());
    request.cancellation = cancellation;
    return send(place, request, kActions);
  };
  const HttpResponse before = look_up();
  if (before.ok()) {
    report(size, true);
    return;
  }
  if (before.status != 404) throw http_status_error(before, "cannot push to " + place.shown);

  HttpRequest open;
  open.method = "POST";
  open.url = place.url("blobs/uploads/");
  open.cancellation = cancellation;
  HttpResponse answer = send(place, open, kActions);
  if (!answer.ok()) throw http_status_error(answer, "cannot push to " + place.shown);

  HashingReader reader(blob);
  uint64_t sent = 0;
  int failures = 0;
  while (sent < size) {
    const uint64_t length =
        std::min(size - sent, std::max<uint64_t>(options_.upload_chunk_bytes, 1));
    HttpRequest patch = at_location(place, answer);
    patch.method = "PATCH";
    patch.cancellation = cancellation;
    patch.headers = {
        {"Content-Type", "application/octet-stream"},
        {"Content-Range", std::to_string(sent) + "-" + std::to_string(sent + length - 1)}};
    patch.upload = HttpUpload{length, [&](uint64_t offset, char* out, size_t capacity) {
                                const size_t got = reader.read(sent + offset, out, capacity);
                                report(std::min(size, sent + offset + got), false);
                                return got;
                              }};
    try {
      HttpResponse next = send(place, patch, kActions);
      if (!next.ok()) throw http_status_error(next, "cannot push to " + place.shown);
      if (!next.headers.find("Location")) {
        refuse(blob.digest, "the registry does not say where the upload goes on");
      }
      answer = std::move(next);
      sent += length;
    } catch (const HttpError& error) {
      // The upload is still open: ask how far it came. A registry that took part of a chunk and
      // lost the connection answers so, and one that lost it says 404.
      const bool is_misplaced = error.status() == 416;
      if ((!error.is_transient() && !is_misplaced) || ++failures == kAttempts) throw;
      HttpRequest ask = at_location(place, answer);
      ask.cancellation = cancellation;
      HttpResponse state = send(place, ask, kActions);
      if (!state.ok()) throw;
      sent = received_bytes(state);
      if (sent > size) refuse(blob.digest, "the registry says it has more bytes than there are");
      if (state.headers.find("Location")) answer = std::move(state);
    }
  }
  const Digest digest = reader.digest();
  if (digest != blob.digest) {
    throw Error(ErrorCode::kCorrupt, "cannot push " + blob.digest.str() + ": the bytes here have " +
                                         digest.str() + "; run `omg verify` on the model");
  }
  HttpRequest close = at_location(place, answer);
  close.method = "PUT";
  close.cancellation = cancellation;
  close.url += (close.url.find('?') == std::string::npos ? "?" : "&") + std::string("digest=") +
               percent_encode(blob.digest.str());
  const HttpResponse closed = send(place, close, kActions);
  if (!closed.ok()) throw http_status_error(closed, "cannot push to " + place.shown);
  check_told_digest(closed, blob.digest);
  const HttpResponse after = look_up();
  const auto kept = after.headers.find_number("Content-Length");
  if (!after.ok() || (kept && *kept != size)) {
    refuse(blob.digest, "the registry does not have it after the upload");
  }
  report(size, false);
}

void Registry::push(const RegistryName& name, const std::vector<PushBlob>& blobs,
                    const std::string& manifest, const std::string& media_type,
                    const std::function<void(const PushProgress&)>& progress,
                    const CancellationToken& cancellation) {
  if (name.digest) {
    throw Error(ErrorCode::kInvalidArgument, "cannot push to '" + to_string(name) +
                                                 "': a digest is no tag; write host/name:tag");
  }
  const Place place = place_of(name);
  for (const PushBlob& blob : blobs) push_blob(place, blob, progress, cancellation);
  HttpRequest request;
  request.method = "PUT";
  request.url = place.url("manifests/" + percent_encode(name.tag));
  request.headers = {{"Content-Type", media_type}};
  request.body = manifest;
  request.cancellation = cancellation;
  const HttpResponse response = send(place, request, kActions);
  if (!response.ok())
    throw http_status_error(response, "cannot push the manifest of " + place.shown);
  check_told_digest(response, sha256(manifest));
}

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// Names to places, tokens, and manifests. Pushing is in push.cc.
#include "hub/registry/registry.h"

#include <algorithm>

#include "base/error.h"
#include "hub/fetch.h"
#include "hub/registry/challenge.h"
#include "hub/registry/place.h"
#include "net/ip_address.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr const char* kManifestTypes =
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json";

/// A loopback address or name: there http is what registries speak.
bool is_this_machine(const std::string& host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" ||
         lies_in_block(host, "127.0.0.0/8");
}

/// Fit for a header: what a token service sends may be anything.
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= 32768 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Registry::Registry(HttpClient& client, RegistryOptions options)
    : client_(client), options_(std::move(options)) {}

Registry::Place Registry::place_of(const RegistryName& name) const {
  Place place;
  const std::string bare = parse_url("https://" + name.host + "/").host;
  std::string scheme = name.scheme;
  if (scheme.empty()) {
    scheme = is_this_machine(bare) || options_.insecure ? "http" : "https";
  }
  if (scheme == "http" && !is_this_machine(bare) && !options_.insecure) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot use the registry " + name.host +
                    ": http would show models and passwords to everybody on the way; use https, or "
                    "allow it with --insecure");
  }
  place.endpoint = parse_url(scheme + "://" + name.host + "/");
  place.repository = name.repository;
  place.shown = to_string(name);
  return place;
}

HttpResponse Registry::send(const Place& place, HttpRequest request, const std::string& actions) {
  const std::string key = place.endpoint.origin() + " " + place.repository + " " + actions;
  const bool is_home = parse_url(request.url).origin() == place.endpoint.origin();
  const auto token = tokens_.find(key);
  if (is_home && token != tokens_.end()) request.authorization = token->second;
  HttpResponse response = fetch(client_, request);
  const bool is_from_home =
      response.status == 401 && parse_url(response.url).origin() == place.endpoint.origin();
  if (!is_home || !is_from_home) return response;
  const std::string fresh = authorize(place, response, actions);
  if (fresh.empty() || fresh == request.authorization) return response;
  tokens_[key] = fresh;
  request.authorization = fresh;
  return fetch(client_, request);
}

/// The header Authorization that a 401 asks for; "" if we have nothing to offer.
std::string Registry::authorize(const Place& place, const HttpResponse& refused,
                                const std::string& actions) {
  const auto header = refused.headers.find("WWW-Authenticate");
  const auto challenge = header ? parse_challenge(*header) : std::nullopt;
  if (!challenge) return "";
  const bool has_password = !options_.username.empty();
  const std::string basic = "Basic " + base64(options_.username + ":" + options_.password);
  if (challenge->scheme == "basic") return has_password ? basic : "";
  const auto realm = challenge->parameters.find("realm");
  if (challenge->scheme != "bearer" || realm == challenge->parameters.end()) return "";

  const Url url = resolve_url(place.endpoint, realm->second);
  if (url.scheme != "https" && place.endpoint.scheme == "https") {
    throw Error(ErrorCode::kCorrupt, "the registry " + place.endpoint.base() +
                                         " is refused: it wants tokens over plain http from " +
                                         url.base() + "; tell whoever runs it");
  }
  // Whoever answers for a registry may name any server here. A password goes to the registry's own
  // host alone; others are asked without one, and not if they are inside of our network.
  const bool is_own_host = url.host == place.endpoint.host;
  HttpRequest request;
  const auto service = challenge->parameters.find("service");
  const std::string scope = "repository:" + place.repository + ":" + actions;
  request.url = url.text() + (url.query.empty() ? "?" : "&") +
                (service == challenge->parameters.end()
                     ? ""
                     : "service=" + percent_encode(service->second) + "&") +
                "scope=" + percent_encode(scope);
  request.headers = {{"Accept", "application/json"}};
  request.addresses = refused.addresses;
  request.redirects = HttpRedirects::kSameOrigin;
  request.max_body_bytes = 1u << 20;
  request.total_timeout = std::chrono::seconds(60);
  if (has_password && is_own_host) request.authorization = basic;
  const HttpResponse response = fetch(client_, request);
  if (!response.ok()) {
    throw http_status_error(
        response, "cannot get a token for " + place.shown +
                      (has_password && !is_own_host ? " (asked without the password, since " +
                                                          url.host + " is not the registry's host)"
                                                    : ""));
  }
  const json::value value = parse_answer(response.body, "the token for " + place.shown);
  const json::object* object = value.if_object();
  std::string token = object == nullptr ? "" : string_member(*object, "token");
  if (token.empty() && object != nullptr) token = string_member(*object, "access_token");
  if (!is_token(token)) {
    throw Error(ErrorCode::kCorrupt, "cannot get a token for " + place.shown + ": " + url.base() +
                                         " sent none that can be used; tell whoever runs it");
  }
  return "Bearer " + token;
}

HttpResponse Registry::get_manifest(const Place& place, const std::string& reference) {
  HttpRequest request;
  request.url = place.url("manifests/" + percent_encode(reference, ":"));
  request.headers = {{"Accept", kManifestTypes}};
  request.max_body_bytes = 4u << 20;
  request.total_timeout = std::chrono::seconds(120);
  HttpResponse response = send(place, request, "pull");
  if (response.status == 404) {
    throw HttpError(ErrorCode::kNotFound, HttpFailure::kStatus, 404,
                    "there is no model '" + place.shown + "': " + place.endpoint.base() +
                        " does not have it; check the name and the tag");
  }
  if (response.status == 401 || response.status == 403) {
    throw HttpError(ErrorCode::kInvalidArgument, HttpFailure::kStatus, response.status,
                    "cannot get '" + place.shown + "': " + place.endpoint.base() +
                        " denies access, or does not have it; check the name, and log in if it is "
                        "private");
  }
  if (!response.ok()) throw http_status_error(response, "cannot get '" + place.shown + "'");
  const Digest digest = sha256(response.body);
  const auto named = Digest::parse(reference);
  const auto told = Digest::parse(response.headers.find("Docker-Content-Digest").value_or(""));
  if ((named && *named != digest) || (told && *told != digest)) {
    throw Error(ErrorCode::kCorrupt, "the manifest of '" + place.shown +
                                         "' is refused: its bytes have the digest " + digest.str() +
                                         ", not " + (named ? *named : *told).str() +
                                         "; try again, and distrust the registry if it stays so");
  }
  return response;
}

RemoteModel Registry::resolve(const RegistryName& name) {
  const Place place = place_of(name);
  HttpResponse response = get_manifest(place, name.digest ? name.digest->str() : name.tag);
  RegistryManifest manifest = parse_manifest(response.body, place.shown);
  if (manifest.layers.empty()) {
    if (manifest.manifests.size() != 1) {
      throw Error(ErrorCode::kUnsupported,
                  "cannot get '" + place.shown + "': it is an index of " +
                      std::to_string(manifest.manifests.size()) +
                      " variants; name one by its digest, as host/name@sha256:…");
    }
    response = get_manifest(place, manifest.manifests.front().digest.str());
    manifest = parse_manifest(response.body, place.shown);
    if (manifest.layers.empty()) {
      throw Error(ErrorCode::kCorrupt, "the manifest of '" + place.shown +
                                           "' is refused: it leads to an index again; tell whoever "
                                           "published it");
    }
  }
  RemoteModel model;
  model.source = RemoteSource::kRegistry;
  model.name = place.shown;
  model.endpoint = place.endpoint.base();
  model.repository = place.repository;
  model.revision = name.digest ? name.digest->str() : name.tag;
  model.commit = sha256(response.body).str();
  model.manifest = std::move(response.body);
  model.files = manifest_files(manifest, place.url("blobs/"), place.shown);
  const std::string key = place.endpoint.origin() + " " + place.repository + " pull";
  if (const auto token = tokens_.find(key); token != tokens_.end()) {
    for (RemoteFile& file : model.files) file.authorization = token->second;
  }
  return model;
}

}  // namespace omg

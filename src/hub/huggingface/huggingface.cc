// SPDX-License-Identifier: Apache-2.0
//
// The conversation with Hugging Face's API.
#include "hub/huggingface/huggingface.h"

#include <algorithm>

#include "base/error.h"
#include "base/near_names.h"
#include "hub/fetch.h"
#include "hub/model_name.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr size_t kMaxPages = 1'000;

std::string file_url(const std::string& endpoint, const std::string& id,
                     const std::string& commit) {
  return endpoint + "/" + percent_encode(id, "/") + "/resolve/" + percent_encode(commit) + "/";
}

std::string repository_part(const std::string& id) {
  const size_t slash = id.find('/');
  return slash == std::string::npos ? id : id.substr(slash + 1);
}

/// A repository that was renamed answers under its new id, which goes into URLs.
void check_new_id(const std::string& id) {
  try {
    const ModelName name = parse_model_name(id);
    const auto* hub_name = std::get_if<HuggingFaceName>(&name);
    if (hub_name != nullptr && hub_name->id() == id) return;
  } catch (const Error&) {  // told below
  }
  throw Error(ErrorCode::kCorrupt, "the hub's answer cannot be used: it names the repository '" +
                                       id + "'; check that the endpoint is a Hugging Face hub");
}

/// Which of `endpoints` answered.
size_t place_of(const std::vector<std::string>& endpoints, const std::string& endpoint) {
  return static_cast<size_t>(std::find(endpoints.begin(), endpoints.end(), endpoint) -
                             endpoints.begin());
}

bool lacks_sizes(const RemoteModel& model) {
  return model.files.empty() ||
         std::any_of(model.files.begin(), model.files.end(),
                     [](const RemoteFile& file) { return file.size == kUnknownSize; });
}

}  // namespace

struct HuggingFace::Answer {
  HttpResponse response;
  size_t endpoint;
};

HuggingFace::HuggingFace(HttpClient& client, HuggingFaceOptions options)
    : client_(client), options_(std::move(options)) {
  if (options_.endpoints.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "there is no endpoint for Hugging Face; set HF_ENDPOINT or the configuration");
  }
}

HttpRequest HuggingFace::request_to(size_t endpoint, const std::string& url) const {
  HttpRequest request;
  request.url = url;
  request.headers = {{"Accept", "application/json"}};
  request.compressed = true;
  request.total_timeout = std::chrono::seconds(120);
  if (endpoint == 0 && !options_.token.empty()) request.authorization = "Bearer " + options_.token;
  return request;
}

/// The first endpoint that can be reached answers.
HuggingFace::Answer HuggingFace::ask(const std::string& path, const std::string& what) {
  for (size_t endpoint = 0;; ++endpoint) {
    const bool is_last = endpoint + 1 == options_.endpoints.size();
    try {
      HttpResponse response =
          fetch(client_, request_to(endpoint, options_.endpoints[endpoint] + path));
      if (is_last || response.ok() || !http_status_error(response, what).is_transient()) {
        return {std::move(response), endpoint};
      }
    } catch (const HttpError& error) {
      if (is_last || !(error.is_transient() || error.failure() == HttpFailure::kTls)) throw;
    }
  }
}

void HuggingFace::refuse(const HttpResponse& response, const std::string& id,
                         const std::string& revision, size_t endpoint) {
  const std::string page = options_.endpoints[endpoint] + "/" + id;
  const std::string code(response.headers.find("X-Error-Code").value_or(""));
  const std::string said(response.headers.find("X-Error-Message").value_or(""));
  const bool has_token = !options_.token.empty() && endpoint == 0;
  const bool is_denied = response.status == 401 || response.status == 403;
  if (code == "GatedRepo" || (is_denied && said.find("gated") != std::string::npos)) {
    throw HttpError(ErrorCode::kInvalidArgument, HttpFailure::kStatus, response.status,
                    id + " is gated: its terms have to be accepted first; accept them at " + page +
                        (has_token ? " with the account that the token belongs to"
                                   : ", then set HF_TOKEN to a token of the same account"));
  }
  if (code == "RevisionNotFound") {
    throw HttpError(
        ErrorCode::kNotFound, HttpFailure::kStatus, response.status,
        id + " has no revision '" + revision + "'; see " + page + " for its branches and tags");
  }
  if (response.status == 401 && has_token && code.empty()) {
    throw HttpError(ErrorCode::kInvalidArgument, HttpFailure::kStatus, 401,
                    "cannot look up " + id + ": " + options_.endpoints[endpoint] +
                        " does not accept the token; renew HF_TOKEN or the token file");
  }
  // To strangers the hub does not tell what is private from what is not there.
  if (response.status == 404 || response.status == 401) {
    std::vector<std::string> near;
    try {
      std::vector<std::string> ids;
      for (const SearchResult& result :
           search(repository_part(id), {.most = 20, .only_gguf = false, .author = ""})) {
        ids.push_back(result.id);
      }
      near = near_names(id, ids);
      if (near.empty())
        near.assign(ids.begin(), ids.begin() + std::min<ptrdiff_t>(3, std::ssize(ids)));
    } catch (const Error&) {  // a guess is not worth a second error
    }
    throw HttpError(
        ErrorCode::kNotFound, HttpFailure::kStatus, response.status,
        "there is no model '" + id + "' on " + options_.endpoints[endpoint] +
            (has_token ? ", or the token may not see it" : ", or it is private") +
            (near.empty() ? "; check the name, or try `omg search`" : did_you_mean(near)));
  }
  throw http_status_error(response, "cannot look up " + id);
}

RemoteModel HuggingFace::list(const std::string& id, const std::string& revision) {
  const std::string wanted = revision.empty() ? "main" : revision;
  const Answer answer = ask("/api/models/" + percent_encode(id, "/") + "/revision/" +
                                percent_encode(wanted) + "?blobs=true",
                            "cannot look up " + id);
  if (!answer.response.ok()) refuse(answer.response, id, wanted, answer.endpoint);
  const std::string& endpoint = options_.endpoints[answer.endpoint];
  // The commit is in the answer, so URLs are made in two steps: a branch may move between them.
  RemoteModel model = parse_model_info(answer.response.body, "");
  model.source = RemoteSource::kHuggingFace;
  model.name = id;
  model.endpoint = endpoint;
  if (model.repository.empty()) model.repository = id;
  if (model.repository != id) check_new_id(model.repository);
  model.revision = wanted;
  if (lacks_sizes(model)) complete_from_tree(model, answer.endpoint);
  const std::string prefix = file_url(endpoint, model.repository, model.commit);
  for (RemoteFile& file : model.files) {
    file.url = prefix + percent_encode(file.path, "/");
    if (answer.endpoint == 0 && !options_.token.empty()) {
      file.authorization = "Bearer " + options_.token;
    }
  }
  return model;
}

void HuggingFace::complete_from_tree(RemoteModel& model, size_t endpoint) {
  const std::string& base = options_.endpoints[endpoint];
  const std::string origin = parse_url(base).origin();
  std::string url = base + "/api/models/" + percent_encode(model.repository, "/") + "/tree/" +
                    model.commit + "?recursive=true";
  std::vector<RemoteFile> files;
  for (size_t page = 0; !url.empty(); ++page) {
    if (page == kMaxPages) {
      throw Error(ErrorCode::kLimitExceeded, "the list of files of " + model.name +
                                                 " does not end: it has more than 1000 pages; tell "
                                                 "whoever runs " +
                                                 base);
    }
    const HttpResponse response = fetch(client_, request_to(endpoint, url));
    if (!response.ok()) throw http_status_error(response, "cannot list the files of " + model.name);
    parse_tree_page(response.body, "", files);
    const std::string next = next_link(response.headers.find("Link").value_or(""));
    url.clear();
    if (next.empty()) break;
    const Url target = resolve_url(parse_url(response.url), next);
    if (target.origin() != origin) {  // it would get the token
      throw Error(ErrorCode::kCorrupt, "the list of files of " + model.name +
                                           " goes on at another server, " + target.base() +
                                           "; tell whoever runs " + base);
    }
    url = target.text();
  }
  model.files = std::move(files);
}

HttpResponse HuggingFace::look_at(const RemoteFile& file) {
  HttpRequest request;
  request.method = "HEAD";
  request.url = file.url;
  request.authorization = file.authorization;
  request.redirects = HttpRedirects::kSameOrigin;
  request.total_timeout = std::chrono::seconds(60);
  return fetch(client_, request);
}

void HuggingFace::complete_from_head(RemoteFile& file) {
  const HttpResponse response = look_at(file);
  if (response.status >= 400) throw http_status_error(response, "cannot look up " + file.path);
  auto size = response.headers.find_number("X-Linked-Size");
  if (!size && response.ok()) size = response.headers.find_number("Content-Length");
  if (!size) {
    throw Error(
        ErrorCode::kCorrupt,
        "the size of " + file.path + " is not known: the hub does not tell; use another mirror");
  }
  if (*size > (uint64_t{1} << 50)) {
    throw Error(ErrorCode::kCorrupt, file.path + " is said to have " + std::to_string(*size) +
                                         " bytes: the hub lies; use another mirror");
  }
  file.size = *size;
  const auto linked = response.find_header("X-Linked-Etag");
  file.etag = plain_etag(linked ? *linked : response.headers.find("ETag").value_or(""));
  if (!file.sha256) file.sha256 = Digest::parse(file.etag);
}

RemoteModel HuggingFace::resolve(const std::string& id, const std::string& revision,
                                 const SelectionOptions& options) {
  RemoteModel model = list(id, revision);
  const Selection selection = select_files(model.files, options, id);
  if (model.is_gated) {  // its lists are public, its files are not: better to know now
    const HttpResponse response = look_at(model.files[selection.files.front()]);
    if (response.status >= 400)
      refuse(response, model.repository, model.revision,
             place_of(options_.endpoints, model.endpoint));
  }
  std::vector<RemoteFile> chosen;
  for (const size_t index : selection.files) {
    chosen.push_back(model.files[index]);
    if (chosen.back().size == kUnknownSize) complete_from_head(chosen.back());
  }
  model.files = std::move(chosen);
  model.quantization = selection.quantization;
  const bool is_main = revision.empty() || revision == "main";
  model.name = id + (selection.quantization.empty() ? "" : ":" + selection.quantization) +
               (is_main ? "" : "@" + revision);
  (void)model.total_bytes();  // sums up, or says that the sizes lie
  return model;
}

std::vector<SearchResult> HuggingFace::search(const std::string& query,
                                              const SearchOptions& options) {
  const size_t most = std::clamp<size_t>(options.most, 1, 1000);
  const Answer answer =
      ask("/api/models?search=" + percent_encode(query) + "&limit=" + std::to_string(most) +
              "&sort=downloads&direction=-1" + (options.only_gguf ? "&filter=gguf" : "") +
              (options.author.empty() ? "" : "&author=" + percent_encode(options.author)),
          "cannot search");
  if (!answer.response.ok()) throw http_status_error(answer.response, "cannot search");
  auto results = parse_search_page(answer.response.body);
  if (results.size() > most) results.resize(most);
  return results;
}

}  // namespace omg

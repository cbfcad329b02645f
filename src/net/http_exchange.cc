// SPDX-License-Identifier: Apache-2.0
//
// One exchange over libcurl's multi interface, which lets a request be given up within 50 ms. All
// that comes from the server passes through Receiver, which counts it and checks it against what
// was asked.
#include "net/http_exchange.h"

#include <algorithm>
#include <curl/curl.h>
#include <exception>
#include <limits>
#include <mutex>
#include <unistd.h>

#include "net/ip_address.h"
#include "net/receiver.h"

namespace omg {
namespace {

constexpr int kPollMilliseconds = 50;
constexpr long kBufferBytes = 256 << 10;  // libcurl's default of 16 KiB costs a call per TLS record

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw Error(ErrorCode::kOutOfMemory, "out of memory for a request");
  (void)list.release();
  list.reset(longer);
}

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code != CURLE_OK) {
    throw Error(ErrorCode::kInternal, "libcurl refuses setting " + std::to_string(option) + ": " +
                                          curl_easy_strerror(code) +
                                          "; this needs libcurl 7.85 or later with TLS");
  }
}

/// The state that libcurl's callbacks share during one exchange.
struct Transfer {
  explicit Transfer(HttpExchange& exchange_) : exchange(exchange_), receiver(exchange_) {}

  HttpExchange& exchange;
  Receiver receiver;
  uint64_t uploaded = 0;
  bool connected = false;
  bool refused_address = false;
  std::exception_ptr exception;

  /// Runs a step of ours under libcurl, which must not see exceptions.
  template <typename Step>
  bool guarded(Step step) {
    try {
      return step();
    } catch (...) {
      exception = std::current_exception();
      return false;
    }
  }
};

curl_socket_t open_socket(void* data, curlsocktype purpose, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(data);
  const HttpExchange& exchange = transfer.exchange;
  if (purpose == CURLSOCKTYPE_IPCXN && exchange.public_only && exchange.proxy.empty() &&
      !is_public_address(&address->addr)) {
    transfer.refused_address = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/// Kept connections open no socket: their address is checked here, before the request leaves.
int before_request(void* data, char* peer, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(data);
  HttpExchange& exchange = transfer.exchange;
  transfer.connected = true;
  exchange.peer_is_public = is_public_address(std::string_view(peer)).value_or(false);
  if (exchange.public_only && exchange.proxy.empty() && !exchange.peer_is_public) {
    transfer.refused_address = true;
    return CURL_PREREQFUNC_ABORT;
  }
  return CURL_PREREQFUNC_OK;
}

size_t take_header(char* bytes, size_t size, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  const std::string_view line(bytes, size * count);
  return transfer.guarded([&] { return transfer.receiver.take_header(line); }) ? line.size() : 0;
}

size_t take_body(char* bytes, size_t size, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  const std::string_view piece(bytes, size * count);
  // Any other number than all ends the transfer; CURL_WRITEFUNC_PAUSE is out of reach of `size`.
  return transfer.guarded([&] { return transfer.receiver.take_body(piece); }) ? piece.size()
                                                                              : size_t{0};
}

size_t give_body(char* out, size_t size, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  size_t given = 0;
  const bool fine = transfer.guarded([&] {
    const HttpRequest& request = transfer.exchange.request;
    const size_t capacity = size * count;
    if (request.upload) {
      const uint64_t left =
          request.upload->size - std::min(request.upload->size, transfer.uploaded);
      given = left == 0
                  ? 0
                  : request.upload->read(transfer.uploaded, out,
                                         static_cast<size_t>(std::min<uint64_t>(capacity, left)));
      if (given == 0 && left > 0) {
        throw Error(ErrorCode::kIo, "cannot send a file: it ends " + std::to_string(left) +
                                        " bytes early; do not change it during the upload");
      }
    } else {
      given = request.body.copy(out, capacity, transfer.uploaded);
    }
    transfer.uploaded += given;
    return true;
  });
  return fine ? given : size_t{CURL_READFUNC_ABORT};
}

int seek_body(void* data, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(data)->uploaded = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

void set_up_body(CURL* handle, Transfer& transfer) {
  const HttpExchange& exchange = transfer.exchange;
  const HttpRequest& request = exchange.request;
  const uint64_t size = request.upload ? request.upload->size : request.body.size();
  const bool usually_has_body =
      exchange.method == "POST" || exchange.method == "PUT" || exchange.method == "PATCH";
  if (exchange.method == "HEAD") {
    set(handle, CURLOPT_NOBODY, 1L);
  } else if (exchange.sends_body && (size > 0 || usually_has_body)) {
    set(handle, CURLOPT_UPLOAD, 1L);
    set(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
    set(handle, CURLOPT_READFUNCTION, &give_body);
    set(handle, CURLOPT_READDATA, &transfer);
    set(handle, CURLOPT_SEEKFUNCTION, &seek_body);
    set(handle, CURLOPT_SEEKDATA, &transfer);
    set(handle, CURLOPT_CUSTOMREQUEST, exchange.method.c_str());
  } else {
    set(handle, CURLOPT_HTTPGET, 1L);
    set(handle, CURLOPT_CUSTOMREQUEST, exchange.method.c_str());
  }
}

HeaderList make_headers(const HttpExchange& exchange) {
  const HttpRequest& request = exchange.request;
  HeaderList list;
  append(list, "Expect:");  // no waiting for 100 before a body
  for (const auto& [name, value] : request.headers) {
    append(list, value.empty() ? name + ";" : name + ": " + value);
  }
  if (exchange.credentials) append(list, "Authorization: " + request.authorization);
  if (request.range) {
    const ByteRange& range = *request.range;
    std::string last;
    if (range.length) {
      if (*range.length - 1 > std::numeric_limits<int64_t>::max() - range.offset) {
        throw Error(ErrorCode::kInvalidArgument, "cannot ask for a range: it ends beyond 2^63");
      }
      last = std::to_string(range.offset + *range.length - 1);
    }
    append(list, "Range: bytes=" + std::to_string(range.offset) + "-" + last);
  }
  return list;
}

void set_up_connection(CURL* handle, const HttpClientOptions& options, Transfer& transfer) {
  const HttpExchange& exchange = transfer.exchange;
  const HttpRequest& request = exchange.request;
  set(handle, CURLOPT_URL, exchange.url.text().c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(handle, CURLOPT_HTTP09_ALLOWED, 0L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_PROXY, exchange.proxy.c_str());  // "" also stops a look at the environment
  set(handle, CURLOPT_NOPROXY, "");
  set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(handle, CURLOPT_USERAGENT, options.user_agent.c_str());
  if (!options.ca_file.empty()) set(handle, CURLOPT_CAINFO, options.ca_file.c_str());
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  set(handle, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.stall_bytes_per_second));
  set(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout.count()));
  // Refused where a failed request has left its buffer behind: then that one serves again.
  (void)curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kBufferBytes);
  if (!options.unix_socket.empty()) {
    set(handle, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  }
  set(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  set(handle, CURLOPT_ACCEPT_ENCODING, request.compressed ? "" : nullptr);
  set(handle, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  set(handle, CURLOPT_OPENSOCKETDATA, &transfer);
  set(handle, CURLOPT_PREREQFUNCTION, &before_request);
  set(handle, CURLOPT_PREREQDATA, &transfer);
  set(handle, CURLOPT_HEADERFUNCTION, &take_header);
  set(handle, CURLOPT_HEADERDATA, &transfer);
  set(handle, CURLOPT_WRITEFUNCTION, &take_body);
  set(handle, CURLOPT_WRITEDATA, &transfer);
}

struct Cause {
  ErrorCode code;
  HttpFailure failure;
  const char* advice;
};

Cause cause_of(CURLcode code, bool connected) {
  constexpr const char* kNetwork = "check the network, the address and the proxy settings";
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {ErrorCode::kUnavailable, HttpFailure::kResolve, kNetwork};
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return {ErrorCode::kUnavailable, HttpFailure::kConnect, kNetwork};
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::kUnavailable, connected ? HttpFailure::kStalled : HttpFailure::kConnect,
              connected ? "try again; what has arrived is kept" : kNetwork};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return {
          ErrorCode::kIo, HttpFailure::kTls,
          "if this network has a certificate authority of its own, name its file with --ca-file"};
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
      return {ErrorCode::kUnavailable, HttpFailure::kInterrupted, "try again"};
    case CURLE_OUT_OF_MEMORY:
      return {ErrorCode::kOutOfMemory, HttpFailure::kProtocol, "free some memory"};
    default:
      return {ErrorCode::kCorrupt, HttpFailure::kProtocol,
              "tell whoever runs the server; a proxy on the way may be at fault"};
  }
}

std::string shown(const Url& url) {
  return url.base() + url.path;
}

[[noreturn]] void throw_failure(const Transfer& transfer, CURLcode code, const char* details) {
  const Cause cause = cause_of(code, transfer.connected);
  const std::string why = *details != '\0' ? details : curl_easy_strerror(code);
  throw HttpError(cause.code, cause.failure, 0,
                  "cannot load " + shown(transfer.exchange.url) + ": " + why + "; " + cause.advice);
}

void initialise_libcurl() {
  // libcurl wants this before its first use and no other thread beside it; it is never undone.
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

void throw_private_address(const Url& url) {
  throw HttpError(
      ErrorCode::kCorrupt, HttpFailure::kAddress, 0,
      "the way to " + shown(url) +
          " is refused: a server on the internet sent us there, and it is an address of "
          "this machine or its own network; if this is meant, use that server as the "
          "endpoint itself");
}

struct HttpSession::Handles {
  std::unique_ptr<CURL, EasyDeleter> easy;
  std::unique_ptr<CURLM, MultiDeleter> multi;  // keeps the connections; goes first
};

HttpSession::HttpSession(const HttpClientOptions& options)
    : options_(options), handles_(std::make_unique<Handles>()) {
  initialise_libcurl();
  handles_->easy.reset(curl_easy_init());
  handles_->multi.reset(curl_multi_init());
  if (!handles_->easy || !handles_->multi) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory for an HTTP client");
  }
}

HttpSession::~HttpSession() = default;

namespace {

/// Takes a handle out of its multi handle whatever happens.
class Attached {
 public:
  Attached(CURLM* multi, CURL* easy) : multi_(multi), easy_(easy) {
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) {
      throw Error(ErrorCode::kInternal, "libcurl cannot start a request; report this");
    }
  }
  ~Attached() { curl_multi_remove_handle(multi_, easy_); }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

 private:
  CURLM* multi_;
  CURL* easy_;
};

/// Runs until libcurl is done; returns its result. Throws when cancelled or past the deadline.
CURLcode drive(CURLM* multi, const HttpExchange& exchange, const CancellationToken& cancellation) {
  while (true) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_FAILED_INIT;
    int left = 0;
    if (const CURLMsg* message = curl_multi_info_read(multi, &left)) return message->data.result;
    cancellation.throw_if_cancelled();
    if (exchange.deadline && std::chrono::steady_clock::now() >= *exchange.deadline) {
      throw HttpError(
          ErrorCode::kUnavailable, HttpFailure::kStalled, 0,
          "cannot load " + shown(exchange.url) + ": it takes longer than allowed; try again later");
    }
    if (curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr) != CURLM_OK) {
      return CURLE_FAILED_INIT;
    }
  }
}

}  // namespace

void HttpSession::run(HttpExchange& exchange) {
  CURL* easy = handles_->easy.get();
  Transfer transfer(exchange);
  exchange.response = HttpResponse{};
  exchange.response.url = exchange.url.text();
  exchange.redirected = false;
  char details[CURL_ERROR_SIZE] = "";
  curl_easy_reset(easy);
  set(easy, CURLOPT_ERRORBUFFER, details);
  set_up_connection(easy, options_, transfer);
  set_up_body(easy, transfer);
  const HeaderList headers = make_headers(exchange);
  set(easy, CURLOPT_HTTPHEADER, headers.get());
  CURLcode code;
  {
    const Attached attached(handles_->multi.get(), easy);
    code = drive(handles_->multi.get(), exchange,
                 exchange.request.cancellation.value_or(options_.cancellation));
  }
  curl_easy_reset(easy);  // it must not point at what goes out of scope here
  if (transfer.exception) std::rethrow_exception(transfer.exception);
  if (transfer.refused_address && code != CURLE_OK) throw_private_address(exchange.url);
  if (code != CURLE_OK && !transfer.receiver.stopped()) throw_failure(transfer, code, details);
  transfer.receiver.finish();
}

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_model.h"

#include "runtimes/worker/worker_link.h"

namespace omg {

WorkerModel::WorkerModel(WorkerOptions options)
    : link_(std::make_shared<WorkerLink>(std::move(options))),
      thread_([link = link_.get()] { link->run(); }) {}

WorkerModel::~WorkerModel() {
  link_->stop();
  thread_.join();
}

std::unique_ptr<WorkerModel> start_worker(WorkerOptions options) {
  std::unique_ptr<WorkerModel> model(new WorkerModel(std::move(options)));
  model->link_->wait_until_loaded();
  return model;
}

const ModelFacts& WorkerModel::facts() const {
  return link_->ready().facts;
}

Canceller WorkerModel::answer(AnswerRequest request, AnswerSink sink) {
  const uint64_t id = link_->answer(request, std::move(sink));
  return [id, known = std::weak_ptr<WorkerLink>(link_)] {
    if (const std::shared_ptr<WorkerLink> link = known.lock()) link->cancel(id);
  };
}

std::vector<int32_t> WorkerModel::tokenize(std::string_view text, const TokenizeOptions& options) {
  const TokenizeCall call{std::string(text), options};
  auto future = link_->call<std::vector<int32_t>>(FrameType::kTokenize, call, FrameType::kTokens);
  return WorkerLink::result_of(future.get());
}

std::string WorkerModel::detokenize(std::span<const int32_t> tokens) {
  const std::vector<int32_t> copy(tokens.begin(), tokens.end());
  auto future = link_->call<std::string>(FrameType::kDetokenize, copy, FrameType::kBytes);
  return WorkerLink::result_of(future.get());
}

RenderedChat WorkerModel::render(const ChatPrompt& prompt) {
  auto future = link_->call<RenderedChat>(FrameType::kRender, prompt, FrameType::kRendered);
  return WorkerLink::result_of(future.get());
}

ModelActivity WorkerModel::activity() const {
  return link_->activity();
}

pid_t WorkerModel::pid() const {
  return link_->pid();
}

const std::string& WorkerModel::sandbox() const {
  return link_->ready().sandbox;
}

std::vector<std::string> WorkerModel::log_lines() const {
  return link_->log().lines();
}

}  // namespace omg

#include "serve/workflow_exchange.h"

#include <utility>

#include "serve/api_error.h"

namespace weft {

namespace {

Json error_event(const ApiError& error) {
  Json event = {{"type", "error"}, {"status", error.status()}};
  event.update(error.body());
  return event;
}

}  // namespace

WorkflowExchange::WorkflowExchange(const WorkflowService& service, WorkflowCall call,
                                   CancelFlag cancelled)
    : thread_([this, &service, call = std::move(call), cancelled = std::move(cancelled)] {
        run(service, call, cancelled);
      }) {}

WorkflowExchange::~WorkflowExchange() { thread_.join(); }

bool WorkflowExchange::is_last(const Json& event) {
  return event["type"] == "done" || event["type"] == "error";
}

void WorkflowExchange::run(const WorkflowService& service, const WorkflowCall& call,
                           CancelFlag cancelled) {
  EventSink sink;
  if (call.stream) sink = [this](Json event) { channel_.push(std::move(event)); };
  try {
    Json event = {{"type", "done"}};
    event.update(service.handle(call, sink, std::move(cancelled)));
    channel_.push(std::move(event));
  } catch (const ApiError& error) {
    channel_.push(error_event(error));
  } catch (const std::exception& error) {
    channel_.push(error_event(ApiError(500, error.what())));
  }
}

}  // namespace weft

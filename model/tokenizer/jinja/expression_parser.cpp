#include "model/tokenizer/jinja/expression_parser.h"

#include <algorithm>

#include "base/error.h"

namespace weft::jinja {
namespace {

constexpr int kMaxDepth = 100;

void set_constant_or_name(Expr& expr) {
  const std::string_view name = expr.text;
  if (name == "true" || name == "True") {
    expr.literal = true;
  } else if (name == "false" || name == "False") {
    expr.literal = false;
  } else if (name == "none" || name == "None") {
    expr.literal = None{};
  } else {
    expr.kind = ExprKind::kName;
  }
}

}  // namespace

const Token& ExpressionParser::peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token ExpressionParser::next() {
  Token token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::is_operator(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == TokenKind::kOperator && peek(ahead).text == text;
}

bool ExpressionParser::is_name(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == TokenKind::kName && peek(ahead).text == text;
}

bool ExpressionParser::accept_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  next();
  return true;
}

bool ExpressionParser::accept_name(std::string_view text) {
  if (!is_name(text)) return false;
  next();
  return true;
}

void ExpressionParser::expect_operator(std::string_view text) {
  if (!accept_operator(text)) fail("expected '" + std::string(text) + "'");
}

void ExpressionParser::expect(TokenKind kind, const char* what) {
  if (next().kind != kind) fail(std::string("expected ") + what);
}

std::string ExpressionParser::expect_identifier() {
  if (peek().kind != TokenKind::kName) fail("expected a name");
  return next().text;
}

void ExpressionParser::fail(const std::string& what) const {
  const Token& token = peek();
  const std::string got = token.kind == TokenKind::kEnd ? "the end" : "'" + token.text + "'";
  throw InputError("chat template, line " + std::to_string(token.line) + ": " + what + ", got " +
                   got);
}

ExprPtr ExpressionParser::make(ExprKind kind, std::string text) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = peek().line;
  expr->text = std::move(text);
  return expr;
}

ExprPtr ExpressionParser::parse_expression() {
  if (++depth_ > kMaxDepth) fail("expressions nested too deeply");
  ExprPtr value = parse_or();
  while (accept_name("if")) {
    auto conditional = make(ExprKind::kConditional);
    conditional->children.push_back(std::move(value));
    conditional->children.push_back(parse_or());
    conditional->children.push_back(accept_name("else") ? parse_expression() : nullptr);
    value = std::move(conditional);
  }
  --depth_;
  return value;
}

template <class Next>
ExprPtr ExpressionParser::parse_left(std::initializer_list<std::string_view> operators,
                                     Next parse_next) {
  ExprPtr left = (this->*parse_next)();
  for (;;) {
    const auto found = std::find_if(operators.begin(), operators.end(), [&](std::string_view op) {
      return is_operator(op) || ((op == "and" || op == "or") && is_name(op));
    });
    if (found == operators.end()) return left;
    auto binary = make(ExprKind::kBinary, next().text);
    binary->children.push_back(std::move(left));
    binary->children.push_back((this->*parse_next)());
    left = std::move(binary);
  }
}

ExprPtr ExpressionParser::parse_or() { return parse_left({"or"}, &ExpressionParser::parse_and); }

ExprPtr ExpressionParser::parse_and() { return parse_left({"and"}, &ExpressionParser::parse_not); }

ExprPtr ExpressionParser::parse_not() {
  if (!accept_name("not")) return parse_compare();
  if (++depth_ > kMaxDepth) fail("expressions nested too deeply");
  auto unary = make(ExprKind::kUnary, "not");
  unary->children.push_back(parse_not());
  --depth_;
  return unary;
}

ExprPtr ExpressionParser::parse_compare() {
  static constexpr std::string_view kOperators[] = {"==", "!=", "<", ">", "<=", ">="};
  ExprPtr first = parse_sum();
  auto compare = make(ExprKind::kCompare);
  compare->children.push_back(std::move(first));
  for (;;) {
    const bool plain = std::any_of(std::begin(kOperators), std::end(kOperators),
                                   [&](std::string_view op) { return is_operator(op); });
    if (plain) {
      compare->operators.push_back(next().text);
    } else if (accept_name("in")) {
      compare->operators.push_back("in");
    } else if (is_name("not") && is_name("in", 1)) {
      next();
      next();
      compare->operators.push_back("not in");
    } else {
      break;
    }
    compare->children.push_back(parse_sum());
  }
  return compare->operators.empty() ? std::move(compare->children[0]) : std::move(compare);
}

ExprPtr ExpressionParser::parse_sum() {
  return parse_left({"+", "-"}, &ExpressionParser::parse_concat);
}

ExprPtr ExpressionParser::parse_concat() {
  return parse_left({"~"}, &ExpressionParser::parse_product);
}

ExprPtr ExpressionParser::parse_product() {
  return parse_left({"*", "/", "//", "%"}, &ExpressionParser::parse_power);
}

ExprPtr ExpressionParser::parse_power() {
  ExprPtr value = parse_unary(true);
  if (is_operator("**")) fail("the operator ** is unknown here");
  return value;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
  ExprPtr value;
  if (is_operator("-") || is_operator("+")) {
    if (++depth_ > kMaxDepth) fail("expressions nested too deeply");
    value = make(ExprKind::kUnary, next().text);
    value->children.push_back(parse_unary(false));
    --depth_;
  } else {
    value = parse_postfix(parse_primary());
  }
  return with_filters ? parse_filters(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::parse_primary() {
  auto literal = make(ExprKind::kLiteral);
  const Token& token = peek();
  if (token.kind == TokenKind::kString) {
    std::string text = next().text;
    while (peek().kind == TokenKind::kString) text += next().text;
    literal->literal = std::move(text);
  } else if (token.kind == TokenKind::kInteger) {
    if (token.text.size() > 18) fail("the integer is too large");
    literal->literal = int64_t{std::stoll(next().text)};
  } else if (token.kind == TokenKind::kFloat) {
    literal->literal = std::stod(next().text);
  } else if (token.kind == TokenKind::kName) {
    literal->text = next().text;
    set_constant_or_name(*literal);
  } else if (accept_operator("(")) {
    if (accept_operator(")")) return make(ExprKind::kList);
    ExprPtr inner = parse_expression();
    if (is_operator(",")) return parse_list(")", std::move(inner));
    expect_operator(")");
    return inner;
  } else if (accept_operator("[")) {
    return parse_list("]", nullptr);
  } else if (accept_operator("{")) {
    return parse_dict();
  } else {
    fail("expected an expression");
  }
  return literal;
}

ExprPtr ExpressionParser::parse_list(std::string_view close, ExprPtr first) {
  auto list = make(ExprKind::kList);
  if (first) {
    list->children.push_back(std::move(first));
    expect_operator(",");
  }
  while (!accept_operator(close)) {
    list->children.push_back(parse_expression());
    if (!is_operator(close)) expect_operator(",");
  }
  return list;
}

ExprPtr ExpressionParser::parse_dict() {
  auto dict = make(ExprKind::kDict);
  while (!accept_operator("}")) {
    dict->children.push_back(parse_expression());
    expect_operator(":");
    dict->children.push_back(parse_expression());
    if (!is_operator("}")) expect_operator(",");
  }
  return dict;
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr value) {
  for (;;) {
    if (accept_operator(".")) {
      auto attribute = make(ExprKind::kAttribute, expect_identifier());
      attribute->children.push_back(std::move(value));
      value = std::move(attribute);
    } else if (accept_operator("[")) {
      value = parse_subscript(std::move(value));
    } else if (accept_operator("(")) {
      auto call = make(ExprKind::kCall);
      call->children.push_back(std::move(value));
      parse_arguments(*call);
      value = std::move(call);
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr value) {
  auto expr = make(ExprKind::kIndex);
  expr->children.push_back(std::move(value));
  const auto part = [&] {
    const bool empty = is_operator(":") || is_operator("]");
    expr->children.push_back(empty ? nullptr : parse_expression());
  };
  part();
  while (accept_operator(":")) {
    expr->kind = ExprKind::kSlice;
    part();
  }
  expect_operator("]");
  if (expr->kind == ExprKind::kIndex && !expr->children[1]) fail("expected an index");
  if (expr->children.size() > 4) fail("expected at most two ':' in a slice");
  if (expr->kind == ExprKind::kSlice) expr->children.resize(4);
  return expr;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr value) {
  for (;;) {
    if (accept_operator("|")) {
      auto filter = make(ExprKind::kFilter, expect_identifier());
      filter->children.push_back(std::move(value));
      if (accept_operator("(")) parse_arguments(*filter);
      value = std::move(filter);
    } else if (accept_name("is")) {
      value = parse_test(std::move(value));
    } else {
      return value;
    }
    value = parse_postfix(std::move(value));
  }
}

ExprPtr ExpressionParser::parse_test(ExprPtr value) {
  const bool negated = accept_name("not");
  auto test = make(ExprKind::kTest, expect_identifier());
  test->children.push_back(std::move(value));
  const TokenKind kind = peek().kind;
  if (accept_operator("(")) {
    parse_arguments(*test);
  } else if (kind == TokenKind::kString || kind == TokenKind::kInteger || is_operator("[") ||
             (kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and") &&
              !is_name("is") && !is_name("if") && !is_name("not") && !is_name("in"))) {
    test->children.push_back(parse_postfix(parse_primary()));
  }
  if (!negated) return test;
  auto unary = make(ExprKind::kUnary, "not");
  unary->children.push_back(std::move(test));
  return unary;
}

void ExpressionParser::parse_arguments(Expr& call) {
  while (!accept_operator(")")) {
    if (peek().kind == TokenKind::kName && is_operator("=", 1)) {
      std::string name = next().text;
      next();
      call.named.emplace_back(std::move(name), parse_expression());
    } else {
      call.children.push_back(parse_expression());
    }
    if (!is_operator(")")) expect_operator(",");
  }
}

}  // namespace weft::jinja

/* Functions of XLA's interface for the tests: what a user of portax.ffi brings. */
#include <stdint.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

static int64_t calls = 0;
int64_t count_of_calls(void) { return calls; }

/* A type of state, whose number XLA gives when it is told of the type. */
XLA_FFI_TypeId state_type = {0};
static void forgotten(void* state) { (void)state; }
XLA_FFI_TypeInfo state_info = {.struct_size = XLA_FFI_TypeInfo_STRUCT_SIZE, .deleter = forgotten};

/* XLA asks what a function is before it calls it; and calls it at other stages than the one that matters here. */
static int answered(XLA_FFI_CallFrame* frame) {
  if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
    XLA_FFI_Metadata* metadata = ((XLA_FFI_Metadata_Extension*)frame->extension_start)->metadata;
    metadata->api_version.major_version = XLA_FFI_API_MAJOR;
    metadata->api_version.minor_version = XLA_FFI_API_MINOR;
    return 1;
  }
  return frame->stage != XLA_FFI_ExecutionStage_EXECUTE;
}

static XLA_FFI_Error* refused(XLA_FFI_CallFrame* frame, const char* message) {
  XLA_FFI_Error_Create_Args args = {0};
  args.struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE;
  args.message = message;
  args.errc = XLA_FFI_Error_Code_INVALID_ARGUMENT;
  return frame->api->XLA_FFI_Error_Create(&args);
}

/* out[..., i] = by * sum over j of x[..., i, j], of float32; refused where by is negative. */
XLA_FFI_Error* RowSums(XLA_FFI_CallFrame* frame) {
  if (answered(frame)) return 0;
  XLA_FFI_Buffer* x = frame->args.args[0];
  XLA_FFI_Buffer* out = frame->rets.rets[0];
  float by = *(float*)((XLA_FFI_Scalar*)frame->attrs.attrs[0])->value;
  if (by < 0) return refused(frame, "by must not be negative");
  int64_t rows = 1, n = x->dims[x->rank - 1];
  for (int64_t i = 0; i < x->rank - 1; ++i) rows *= x->dims[i];
  for (int64_t i = 0; i < rows; ++i) {
    float sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += ((float*)x->data)[i * n + j];
    ((float*)out->data)[i] = by * sum;
  }
  ++calls;
  return 0;
}

/* Copies the bytes of its operand to its result, in whatever order they lie, unless both are one. */
XLA_FFI_Error* Copied(XLA_FFI_CallFrame* frame) {
  if (answered(frame)) return 0;
  XLA_FFI_Buffer* x = frame->args.args[0];
  XLA_FFI_Buffer* out = frame->rets.rets[0];
  int64_t size = 1;
  for (int64_t i = 0; i < x->rank; ++i) size *= x->dims[i];
  if (x->data != out->data) memcpy(out->data, x->data, size * sizeof(float));
  ++calls;
  return 0;
}

/* out[0] += 1, then the rest of out as it was: out is x where they share memory. */
XLA_FFI_Error* Bumped(XLA_FFI_CallFrame* frame) {
  if (answered(frame)) return 0;
  XLA_FFI_Buffer* x = frame->args.args[0];
  XLA_FFI_Buffer* out = frame->rets.rets[0];
  if (x->data != out->data) return refused(frame, "operand and result are two");
  ((float*)out->data)[0] += 1;
  return 0;
}

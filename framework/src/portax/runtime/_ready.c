/*
 * The short way of a call, in C: what `PlainReadyCall` in ready.py does, without the interpreter between its steps.
 *
 * Nothing is decided here. A call whose arguments are arrays, or trees of them, that are in the tables gives their
 * buffers to the program that is there, and wraps what comes back; every other call goes the long way, which is a
 * method of the subclass. Slots of arrays are read and written where their descriptors say they lie.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

typedef struct {
    PyTypeObject *array;                            /* ConcreteArray */
    PyTypeObject *evaluating;                       /* the trace that computes at once */
    PyObject *state;                                /* what the thread is interpreting with */
    PyObject *settings;
    PyObject *kinds;                                /* what is known of types of nodes */
    Py_ssize_t aval, host, buffer, device, committed;  /* where an array's slots lie */
    PyObject *trace_name, *epoch_name, *long_name, *unflatten_name, *own_name, *delete_name;
} Known;

/* Of what ready.py and this file say to each other: changed in both when that changes. */
#define EDITION 2

/* Trees deeper than this go the long way. */
#define DEEPEST 64

typedef struct {
    PyObject_HEAD
    PyObject *ready, *apart;                        /* the tables */
    PyObject *module;
} ReadyCall;

static struct PyModuleDef definition;

/* ---- one array ------------------------------------------------------------------------------------------------- */

/* A new concrete array of a program's result. */
static PyObject *
wrapped(Known *known, PyObject *aval, PyObject *buffer, PyObject *device, PyObject *committed)
{
    PyObject *array = known->array->tp_alloc(known->array, 0);
    if (array == NULL) {
        return NULL;
    }
    SLOT(array, known->aval) = Py_NewRef(aval);
    SLOT(array, known->host) = Py_NewRef(Py_None);
    SLOT(array, known->buffer) = Py_NewRef(buffer);
    SLOT(array, known->device) = Py_NewRef(device);
    SLOT(array, known->committed) = Py_NewRef(committed);
    return array;
}

/* The results of a call: `device` is where they are, or a tuple with a place for each. */
static PyObject *
results(Known *known, PyObject *outs, PyObject *avals, PyObject *device, PyObject *committed, PyObject *tree)
{
    PyObject *arrays = NULL, *given = PySequence_Fast(outs, "a program gives a list of buffers");
    if (given == NULL) {
        return NULL;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(avals);
    if (PySequence_Fast_GET_SIZE(given) != n) {
        PyErr_Format(PyExc_ValueError, "a program gave %zd results instead of %zd", PySequence_Fast_GET_SIZE(given), n);
        goto done;
    }
    PyObject **buffers = PySequence_Fast_ITEMS(given);
    int apart = PyTuple_CheckExact(device);
#define RESULT(i) \
    wrapped(known, PyTuple_GET_ITEM(avals, i), buffers[i], apart ? PyTuple_GET_ITEM(device, i) : device, committed)
    if (tree == Py_None) {  /* one array, and no tree */
        arrays = RESULT(0);
        goto done;
    }
    PyObject *leaves = PyList_New(n);
    for (Py_ssize_t i = 0; leaves != NULL && i < n; i++) {
        PyObject *array = RESULT(i);
        if (array == NULL) {
            Py_CLEAR(leaves);
            break;
        }
        PyList_SET_ITEM(leaves, i, array);
    }
#undef RESULT
    if (leaves != NULL) {
        arrays = PyObject_CallMethodOneArg(tree, known->unflatten_name, leaves);
        Py_DECREF(leaves);
    }
done:
    Py_DECREF(given);
    return arrays;
}

/* ---- arguments that are trees ---------------------------------------------------------------------------------- */

static int opened(Known *known, PyObject *x, PyObject *leaves, PyObject *form, int depth);

/* A child of a node, which stays while it is looked at, whatever becomes of the node. */
static int
opened_child(Known *known, PyObject *child, PyObject *leaves, PyObject *form, int depth)
{
    Py_INCREF(child);
    int fine = opened(known, child, leaves, form, depth + 1);
    Py_DECREF(child);
    return fine;
}

/* Whether a type is a named tuple; -1 with an error. */
static int
is_named_tuple(Known *known, PyTypeObject *type)
{
    if (!PyType_IsSubtype(type, &PyTuple_Type)) {
        return 0;
    }
    PyObject *kind = PyDict_GetItemWithError(known->kinds, (PyObject *)type);
    if (kind == NULL || kind == Py_None) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *own = PyObject_GetAttr(kind, known->own_name);
    Py_XDECREF(own);
    return own == NULL ? -1 : own == Py_True;
}

/* Of a node with `count` children: append its type and their number to the form. */
static int
begin(PyObject *form, PyTypeObject *type, Py_ssize_t count)
{
    PyObject *number = PyLong_FromSsize_t(count);
    int failed = number == NULL || PyList_Append(form, (PyObject *)type) < 0 || PyList_Append(form, number) < 0;
    Py_XDECREF(number);
    return failed ? -1 : 1;
}

static int
opened_dict(Known *known, PyObject *x, PyObject *leaves, PyObject *form, int depth)
{
    PyObject *keys = PyDict_Keys(x);
    if (keys == NULL) {
        return -1;
    }
    Py_ssize_t n = PyList_GET_SIZE(keys);
    int fine = begin(form, &PyDict_Type, n);
    for (Py_ssize_t i = 0; fine > 0 && i < n; i++) {
        fine = PyUnicode_CheckExact(PyList_GET_ITEM(keys, i));  /* those that are equal are the same */
    }
    if (fine > 0 && PyList_Sort(keys) < 0) {
        fine = -1;
    }
    for (Py_ssize_t i = 0; fine > 0 && i < n; i++) {
        PyObject *key = PyList_GET_ITEM(keys, i), *child = PyDict_GetItemWithError(x, key);
        if (child == NULL) {
            fine = PyErr_Occurred() ? -1 : 0;
        } else {
            fine = PyList_Append(form, key) < 0 ? -1 : opened_child(known, child, leaves, form, depth);
        }
    }
    Py_DECREF(keys);
    return fine;
}

/* Append the leaves of a tree, and to `form` what tells how it is built: 1, 0 where it is not for the short way, or -1
   with an error. A leaf is None there; a node its type, the number of its children, and each of them after its key. */
static int
opened(Known *known, PyObject *x, PyObject *leaves, PyObject *form, int depth)
{
    PyTypeObject *type = Py_TYPE(x);
    if (type == known->array) {
        if (SLOT(x, known->aval) == NULL || SLOT(x, known->device) == NULL) {
            return 0;
        }
        return PyList_Append(leaves, x) < 0 || PyList_Append(form, Py_None) < 0 ? -1 : 1;
    }
    if (x == Py_None) {
        return begin(form, type, 0);
    }
    if (depth > DEEPEST) {
        return 0;
    }
    if (type == &PyDict_Type) {
        return opened_dict(known, x, leaves, form, depth);
    }
    int fine = type == &PyTuple_Type || type == &PyList_Type ? 1 : is_named_tuple(known, type);
    if (fine > 0) {
        fine = begin(form, type, PySequence_Fast_GET_SIZE(x));
    }
    for (Py_ssize_t i = 0; fine > 0 && i < PySequence_Fast_GET_SIZE(x); i++) {
        fine = opened_child(known, PySequence_Fast_GET_ITEM(x, i), leaves, form, depth);
    }
    return fine;
}

/* ---- the call -------------------------------------------------------------------------------------------------- */

/* The entry of a table for these leaves, NULL where there is none, also with an error set. `form` may be NULL. */
static PyObject *
entry(Known *known, PyObject *table, PyObject *leaves, PyObject *form, int places)
{
    if (table == NULL || !PyDict_CheckExact(table) || PyDict_GET_SIZE(table) == 0) {
        return NULL;
    }
    PyObject *epoch = PyObject_GetAttr(known->settings, known->epoch_name);
    if (epoch == NULL) {
        return NULL;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(leaves), size = (places ? 2 * n : n) + 1;
    PyObject *key = PyTuple_New(size + (form != NULL));
    if (key == NULL) {
        Py_DECREF(epoch);
        return NULL;
    }
    PyTuple_SET_ITEM(key, 0, epoch);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *x = PyTuple_GET_ITEM(leaves, i);
        PyTuple_SET_ITEM(key, i + 1, Py_NewRef(SLOT(x, known->aval)));
        if (places) {
            PyTuple_SET_ITEM(key, n + i + 1, Py_NewRef(SLOT(x, known->device)));
        }
    }
    if (form != NULL) {
        PyTuple_SET_ITEM(key, size, Py_NewRef(form));
    }
    PyObject *found = PyDict_GetItemWithError(table, key);
    Py_XINCREF(found);
    Py_DECREF(key);
    return found;
}

/* Call the program of an entry, or give NULL without an error where the leaves are not as it needs them. */
static PyObject *
call_entry(Known *known, PyObject *found, PyObject *leaves, int places)
{
    PyObject *run, *device, *avals, *tree, *donated;
    if (!PyArg_ParseTuple(found, "OOO!OO!", &run, &device, &PyTuple_Type, &avals, &tree, &PyTuple_Type, &donated)) {
        return NULL;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(leaves);
    int committed = 0, all = 1;
    PyObject *buffers = PyList_New(n);
    if (buffers == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *x = PyTuple_GET_ITEM(leaves, i), *buffer = SLOT(x, known->buffer);
        if (buffer == NULL || buffer == Py_None || (!places && SLOT(x, known->device) != device)) {
            Py_DECREF(buffers);
            return NULL;
        }
        int chosen = SLOT(x, known->committed) == Py_True;
        committed |= chosen;
        all &= chosen;
        PyList_SET_ITEM(buffers, i, Py_NewRef(buffer));
    }
    if (places && !all) {
        Py_DECREF(buffers);
        return NULL;
    }
    PyObject *outs = PyObject_CallOneArg(run, buffers);
    Py_DECREF(buffers);
    for (Py_ssize_t i = 0; outs != NULL && i < PyTuple_GET_SIZE(donated); i++) {
        Py_ssize_t which = PyLong_AsSsize_t(PyTuple_GET_ITEM(donated, i));
        PyObject *gone = NULL;
        if (which < 0 || which >= n) {
            PyErr_Format(PyExc_IndexError, "a program of %zd arguments is given number %zd to keep", n, which);
        } else {
            gone = PyObject_CallMethodNoArgs(PyTuple_GET_ITEM(leaves, which), known->delete_name);
        }
        if (gone == NULL) {
            Py_CLEAR(outs);
        }
        Py_XDECREF(gone);
    }
    if (outs == NULL) {
        return NULL;
    }
    PyObject *given = results(known, outs, avals, device, committed ? Py_True : Py_False, tree);
    Py_DECREF(outs);
    return given;
}

/* The result of a program that is ready for these leaves; NULL without an error where there is none. */
static PyObject *
looked_up(ReadyCall *self, Known *known, PyObject *leaves, PyObject *form)
{
    for (int places = 0; places < 2; places++) {
        PyObject *found = entry(known, places ? self->apart : self->ready, leaves, form, places);
        if (found != NULL) {
            PyObject *given = call_entry(known, found, leaves, places);
            Py_DECREF(found);
            if (given != NULL) {
                return given;
            }
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    return NULL;
}

/* The same for arguments that are trees. */
static PyObject *
looked_into(ReadyCall *self, Known *known, PyObject *args)
{
    PyObject *leaves = PyList_New(0), *form = PyList_New(0), *flat = NULL, *key = NULL, *given = NULL;
    int fine = leaves == NULL || form == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; fine > 0 && i < PyTuple_GET_SIZE(args); i++) {
        fine = opened(known, PyTuple_GET_ITEM(args, i), leaves, form, 0);
    }
    if (fine > 0) {
        flat = PyList_AsTuple(leaves);
        key = flat == NULL ? NULL : PyList_AsTuple(form);
        given = key == NULL ? NULL : looked_up(self, known, flat, key);
    }
    Py_XDECREF(leaves);
    Py_XDECREF(form);
    Py_XDECREF(flat);
    Py_XDECREF(key);
    return given;
}

/* The result of the short way; NULL without an error where there is none. */
static PyObject *
short_way(ReadyCall *self, Known *known, PyObject *args)
{
    PyObject *trace = PyObject_GetAttr(known->state, known->trace_name);
    if (trace == NULL) {
        return NULL;
    }
    int evaluating = Py_TYPE(trace) == known->evaluating;
    Py_DECREF(trace);
    if (!evaluating) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
        PyObject *x = PyTuple_GET_ITEM(args, i);
        if (Py_TYPE(x) != known->array) {
            return looked_into(self, known, args);
        }
        if (SLOT(x, known->aval) == NULL || SLOT(x, known->device) == NULL) {
            return NULL;
        }
    }
    return looked_up(self, known, args, NULL);
}

static PyObject *
ready_call(ReadyCall *self, PyObject *args, PyObject *kwargs)
{
    Known *known = PyModule_GetState(self->module);
    if (known->array != NULL && (kwargs == NULL || PyDict_GET_SIZE(kwargs) == 0)) {
        PyObject *given = short_way(self, known, args);
        if (given != NULL || PyErr_Occurred()) {
            return given;
        }
    }
    PyObject *long_way = PyObject_GetAttr((PyObject *)self, known->long_name);
    if (long_way == NULL) {
        return NULL;
    }
    PyObject *given = PyObject_Call(long_way, args, kwargs);
    Py_DECREF(long_way);
    return given;
}

/* ---- the type -------------------------------------------------------------------------------------------------- */

static PyObject *
ready_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    PyObject *module = PyType_GetModuleByDef(type, &definition);
    ReadyCall *self = module == NULL ? NULL : (ReadyCall *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->module = Py_NewRef(module);
    self->ready = PyDict_New();
    self->apart = PyDict_New();
    if (self->ready == NULL || self->apart == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
ready_traverse(ReadyCall *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->ready);
    Py_VISIT(self->apart);
    Py_VISIT(self->module);
    return 0;
}

static int
ready_clear(ReadyCall *self)
{
    Py_CLEAR(self->ready);
    Py_CLEAR(self->apart);
    return 0;
}

static void
ready_dealloc(ReadyCall *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ready_clear(self);
    Py_CLEAR(self->module);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"_ready", T_OBJECT_EX, offsetof(ReadyCall, ready), 0, "programs of one device, by epoch, avals and form"},
    {"_apart", T_OBJECT_EX, offsetof(ReadyCall, apart), 0, "programs of several, by epoch, avals, places and form"},
    {NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "A callable that knows programs which are ready to run; see portax.runtime.ready."},
    {Py_tp_new, ready_new},
    {Py_tp_call, ready_call},
    {Py_tp_traverse, ready_traverse},
    {Py_tp_clear, ready_clear},
    {Py_tp_dealloc, ready_dealloc},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec type_spec = {
    .name = "portax.runtime._ready.ReadyCall",
    .basicsize = sizeof(ReadyCall),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = type_slots,
};

/* ---- the module ------------------------------------------------------------------------------------------------ */

/* Where a slot of a class lies; -1 with an error where it is none. */
static Py_ssize_t
offset_of(PyTypeObject *type, const char *name)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    if (descriptor == NULL) {
        return -1;
    }
    Py_ssize_t offset = -1;
    if (Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) {
        offset = ((PyMemberDescrObject *)descriptor)->d_member->offset;
    } else {
        PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type->tp_name, name);
    }
    Py_DECREF(descriptor);
    return offset;
}

PyDoc_STRVAR(prepare_doc, "prepare(array, evaluating, state, settings, kinds)\n--\n\n"
             "Say which class arrays have, where to look whether they are computed at once, and what nodes there are.");

static PyObject *
prepare(PyObject *module, PyObject *args)
{
    Known *known = PyModule_GetState(module);
    PyTypeObject *array, *evaluating;
    PyObject *state, *settings, *kinds;
    if (!PyArg_ParseTuple(args, "O!O!OOO!", &PyType_Type, &array, &PyType_Type, &evaluating, &state, &settings,
                          &PyDict_Type, &kinds)) {
        return NULL;
    }
    Py_ssize_t aval = offset_of(array, "aval"), host = aval < 0 ? -1 : offset_of(array, "_host");
    Py_ssize_t buffer = host < 0 ? -1 : offset_of(array, "_buffer");
    Py_ssize_t device = buffer < 0 ? -1 : offset_of(array, "_device");
    Py_ssize_t committed = device < 0 ? -1 : offset_of(array, "committed");
    if (committed < 0) {
        return NULL;
    }
    known->aval = aval, known->host = host, known->buffer = buffer;
    known->device = device, known->committed = committed;
    Py_XSETREF(known->evaluating, (PyTypeObject *)Py_NewRef(evaluating));
    Py_XSETREF(known->state, Py_NewRef(state));
    Py_XSETREF(known->settings, Py_NewRef(settings));
    Py_XSETREF(known->kinds, Py_NewRef(kinds));
    Py_XSETREF(known->array, (PyTypeObject *)Py_NewRef(array));
    Py_RETURN_NONE;
}

static int
module_exec(PyObject *module)
{
    Known *known = PyModule_GetState(module);
    known->trace_name = PyUnicode_InternFromString("trace");
    known->epoch_name = PyUnicode_InternFromString("epoch");
    known->long_name = PyUnicode_InternFromString("_long");
    known->unflatten_name = PyUnicode_InternFromString("unflatten");
    known->own_name = PyUnicode_InternFromString("own");
    known->delete_name = PyUnicode_InternFromString("delete");
    if (!known->trace_name || !known->epoch_name || !known->long_name || !known->unflatten_name || !known->own_name
        || !known->delete_name) {
        return -1;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, &type_spec, NULL);
    int failed = type == NULL || PyModule_AddObjectRef(module, "ReadyCall", type) < 0
                 || PyModule_AddIntConstant(module, "edition", EDITION) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Known *known = PyModule_GetState(module);
    Py_VISIT(known->array);
    Py_VISIT(known->evaluating);
    Py_VISIT(known->state);
    Py_VISIT(known->settings);
    Py_VISIT(known->kinds);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Known *known = PyModule_GetState(module);
    Py_CLEAR(known->array);
    Py_CLEAR(known->evaluating);
    Py_CLEAR(known->state);
    Py_CLEAR(known->settings);
    Py_CLEAR(known->kinds);
    Py_CLEAR(known->trace_name);
    Py_CLEAR(known->epoch_name);
    Py_CLEAR(known->long_name);
    Py_CLEAR(known->unflatten_name);
    Py_CLEAR(known->own_name);
    Py_CLEAR(known->delete_name);
    return 0;
}

static PyMethodDef methods[] = {
    {"prepare", prepare, METH_VARARGS, prepare_doc},
    {NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "portax.runtime._ready",
    .m_doc = "The short way of a call, in C; see portax.runtime.ready.",
    .m_size = sizeof(Known),
    .m_methods = methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__ready(void)
{
    return PyModuleDef_Init(&definition);
}

// What scripts of proxy auto-config may call. Times are local unless the last argument is "GMT".
function isPlainHostName(host) { return host.indexOf('.') < 0; }
function dnsDomainIs(host, domain) {
    return host.length >= domain.length && host.substring(host.length - domain.length) === domain;
}
function localHostOrDomainIs(host, whole) { return host === whole || whole.lastIndexOf(host + '.', 0) === 0; }
function dnsDomainLevels(host) { return host.split('.').length - 1; }
function dnsResolve(host) { return call_python('resolve', String(host)) || null; }
function isResolvable(host) { return dnsResolve(host) !== null; }
function myIpAddress() { return call_python('own'); }
function alert() {}

function convert_addr(text) {
    var parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text), number = 0;
    if (!parts) { return null; }
    for (var i = 1; i <= 4; i++) {
        if (parts[i] > 255) { return null; }
        number = number * 256 + Number(parts[i]);
    }
    return number | 0;
}
function isInNet(host, pattern, mask) {
    var address = convert_addr(host), resolved;
    if (address === null) {
        resolved = dnsResolve(host);
        address = resolved === null ? null : convert_addr(resolved);
    }
    if (address === null) { return false; }
    return (address & convert_addr(mask)) === (convert_addr(pattern) & convert_addr(mask));
}
// Without regular expressions: a pattern of many stars must not take longer than the square of the text.
function shExpMatch(text, pattern) {
    var t = 0, p = 0, star = -1, mark = 0;
    while (t < text.length) {
        if (p < pattern.length && pattern[p] === '*') { star = p++; mark = t; }
        else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) { p++; t++; }
        else if (star >= 0) { p = star + 1; t = ++mark; }
        else { return false; }
    }
    while (p < pattern.length && pattern[p] === '*') { p++; }
    return p === pattern.length;
}

var _DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
var _MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
function _given(args) {
    var list = Array.prototype.slice.call(args), gmt = list[list.length - 1] === 'GMT', now = new Date();
    if (gmt) { list.pop(); now = new Date(now.getTime() + now.getTimezoneOffset() * 60000); }
    return {list: list, now: now};
}
function _between(low, value, high) { return low <= high ? low <= value && value <= high : value >= low || value <= high; }
function weekdayRange() {
    var given = _given(arguments), list = given.list;
    return _between(_DAYS.indexOf(list[0]), given.now.getDay(), _DAYS.indexOf(list[list.length - 1]));
}
function timeRange() {
    var given = _given(arguments), list = given.list, now = given.now, half = list.length / 2;
    if (list.length === 1) { return now.getHours() === Number(list[0]); }
    function seconds(values) { return values[0] * 3600 + (values[1] || 0) * 60 + (values[2] || 0) * 1; }
    var at = seconds([now.getHours(), now.getMinutes(), now.getSeconds()]);
    return _between(seconds(list.slice(0, half)), at, seconds(list.slice(half)));
}
function dateRange() {
    var given = _given(arguments), list = given.list, now = given.now, half = Math.ceil(list.length / 2);
    function parts(values) {
        var found = {};
        values.forEach(function (value) {
            var month = _MONTHS.indexOf(value);
            if (month >= 0) { found.month = month; } else if (value > 31) { found.year = Number(value); } else { found.day = Number(value); }
        });
        return found;
    }
    function rank(date, kinds) {
        return ('year' in kinds ? date.year * 10000 : 0) + ('month' in kinds ? date.month * 100 : 0) + ('day' in kinds ? date.day : 0);
    }
    var low = parts(list.slice(0, half)), high = list.length > 1 ? parts(list.slice(half)) : low;
    var today = {year: now.getFullYear(), month: now.getMonth(), day: now.getDate()};
    return _between(rank(low, low), rank(today, low), rank(high, low));
}

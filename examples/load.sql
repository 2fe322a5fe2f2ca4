create table item (id integer primary key, name text not null, price real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into item select i, 'item ' || (i * 7919 % 100000), i % 1000 / 10.0 from n;
create index item_name on item (name);
select count(*) || ' rows, total ' || sum(price) from item;
pragma integrity_check;
